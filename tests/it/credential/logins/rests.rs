//! Rests: how soon a fetch that failed is tried again.

use longhaul::ErrorKind;

use super::*;

/// Asks every second, so many times; all of it fails.
async fn asks_in_vain(client: &Client, times: usize) {
    for _ in 0..times {
        let error = farms(client).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TokenUnavailable, "{error}");
        tokio::time::sleep(SECOND).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_source_that_panics_is_asked_more_and_more_seldom() {
    let service = service(|_| reply(200));
    let source = own(|nth, endpoint| if nth < 8 { panic!("the source panics") } else { Ok(endpoint.token("T")) });
    let client = service.builder(Credential::source(source.clone())).build().unwrap();
    asks_in_vain(&client, 30).await;
    assert!((2..=7).contains(&source.times()), "{}", source.times());
    let error = farms(&client).await.unwrap_err();
    assert!(error.to_string().contains("panicked"), "{error}");
    // It is asked again, and serves as soon as it can.
    for _ in 0..4 {
        let _ = farms(&client).await;
        tokio::time::sleep(MINUTE).await;
    }
    assert_eq!(farms(&client).await.unwrap(), StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn what_a_source_asks_to_wait_is_kept() {
    let service = service(|_| reply(200));
    let source = own(|_, _| Err(TokenError::failed("busy").retry_after(10 * MINUTE)));
    let client = service.builder(Credential::source(source.clone())).build().unwrap();
    asks_in_vain(&client, 599).await;
    assert_eq!(source.times(), 1);
    tokio::time::sleep(2 * SECOND).await;
    asks_in_vain(&client, 1).await;
    assert_eq!(source.times(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_source_that_asks_for_a_day_has_it() {
    let service = service(|_| reply(200));
    let source = own(|nth, endpoint| match nth {
        0 => Err(TokenError::failed("busy").retry_after(24 * HOUR)),
        _ => Ok(endpoint.token("T")),
    });
    let client = service.builder(Credential::source(source.clone())).build().unwrap();
    assert_eq!(farms(&client).await.unwrap_err().retry_after(), Some(24 * HOUR));
    tokio::time::sleep(23 * HOUR).await;
    assert_eq!(farms(&client).await.unwrap_err().retry_after(), Some(HOUR));
    assert_eq!(source.times(), 1);
    tokio::time::sleep(HOUR + SECOND).await;
    assert_eq!(farms(&client).await.unwrap(), StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_asks_for_hours_has_them() {
    let service = endpoint(|asked| match asked.nth {
        0 => reply(503).header("retry-after", "7200"),
        _ => token("T", "R", 3600),
    });
    let client = service.client(program());
    for left in [7200, 5400, 3600, 1800] {
        let error = farms(&client).await.unwrap_err();
        assert_eq!((error.kind(), error.retry_after()), (ErrorKind::TokenUnavailable, Some(left * SECOND)), "{error}");
        tokio::time::sleep(1800 * SECOND).await;
    }
    tokio::time::sleep(SECOND).await;
    assert_eq!(farms(&client).await.unwrap(), StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_is_down_for_an_hour_is_asked_all_the_while() {
    // The throttle's own pauses grow to 64 seconds: no fetch ends in the queue behind one.
    let service = endpoint(|_| reply(503));
    let client = service.client(program());
    for _ in 0..60 {
        let error = farms(&client).await.unwrap_err();
        assert!(error.to_string().contains("answered with 503"), "{error}");
        tokio::time::sleep(MINUTE).await;
    }
}

#[tokio::test(start_paused = true)]
async fn rests_begin_small_again_after_a_fetch_that_went_well() {
    let service = service(|_| reply(200));
    let source = own(|nth, endpoint| match nth {
        4 => Ok(endpoint.token("T").expires_in(MINUTE)),
        _ => Err(TokenError::failed("down")),
    });
    let client = service.builder(Credential::source(source.clone())).build().unwrap();
    // After 1, 2, 4 and 8 seconds.
    asks_in_vain(&client, 15).await;
    assert_eq!(source.times(), 4);
    farms(&client).await.unwrap();
    tokio::time::sleep(MINUTE).await;
    asks_in_vain(&client, 2).await;
    assert_eq!(source.times(), 7);
}

#[tokio::test(start_paused = true)]
async fn a_wait_of_more_than_a_day_is_kept_whoever_asks_for_it() {
    for days in [2_u32, 10, 400] {
        let service = service(|_| reply(200));
        let source = own(move |nth, endpoint| match nth {
            0 => Err(TokenError::failed("busy").retry_after(24 * HOUR * days)),
            _ => Ok(endpoint.token("T")),
        });
        let client = service.builder(Credential::source(source.clone())).build().unwrap();
        assert_eq!(farms(&client).await.unwrap_err().retry_after(), Some(24 * HOUR * days));
        tokio::time::sleep(24 * HOUR * days - HOUR).await;
        assert_eq!((farms(&client).await.unwrap_err().retry_after(), source.times()), (Some(HOUR), 1));
        tokio::time::sleep(HOUR + SECOND).await;
        assert_eq!(farms(&client).await.unwrap(), StatusCode::OK);

        for status in [429, 503] {
            let seconds = (24 * HOUR * days).as_secs().to_string();
            let service = endpoint(move |asked| match asked.nth {
                0 => reply(status).header("retry-after", &seconds),
                _ => token("T", "R", 3600),
            });
            let client = service.client(program());
            assert_eq!(farms(&client).await.unwrap_err().retry_after(), Some(24 * HOUR * days), "{status}");
            tokio::time::sleep(24 * HOUR * days - HOUR).await;
            assert_eq!(farms(&client).await.unwrap_err().retry_after(), Some(HOUR), "{status}");
            tokio::time::sleep(HOUR + SECOND).await;
            assert_eq!(farms(&client).await.unwrap(), StatusCode::OK, "{status}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_wait_without_end_is_none() {
    let service = service(|_| reply(200));
    let source = own(|nth, endpoint| match nth {
        0 => Err(TokenError::failed("busy").retry_after(Duration::MAX)),
        _ => Ok(endpoint.token("T")),
    });
    let client = service.builder(Credential::source(source)).build().unwrap();
    farms(&client).await.unwrap_err();
    tokio::time::sleep(2 * SECOND).await;
    assert_eq!(farms(&client).await.unwrap(), StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_nobody_can_mean_is_none() {
    for ages in ["40000000", "18446744073709551615", "Fri, 31 Dec 9999 23:59:59 GMT"] {
        let service = endpoint(move |asked| match asked.nth {
            0 => reply(503).header("retry-after", ages),
            _ => token("T", "R", 3600),
        });
        let begun = tokio::time::Instant::now();
        farms(&service.client(program())).await.unwrap();
        assert!(begun.elapsed() < MINUTE, "{ages}: {:?}", begun.elapsed());
    }
}
