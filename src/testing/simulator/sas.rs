//! Signed links: they allow a bare GET to read one result, for a limited time.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use url::form_urlencoded;

/// Signs the paths of results, and checks signatures.
pub(super) struct Signer {
    key: [u8; 64],
    life: Duration,
}

/// The validity of a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Signed by the simulator, and not expired.
    Valid,
    /// Signed by the simulator, and expired.
    Expired,
    /// Not signed by the simulator, or changed in transit.
    Forged,
}

impl Signer {
    pub(super) fn new(life: Duration) -> Self {
        let mut key = [0; 64];
        fastrand::fill(&mut key);
        Self { key, life }
    }

    /// Returns the query that opens `path`, expiring one lifetime after `now`.
    pub(super) fn sign(&self, generation: u64, path: &str, now: SystemTime) -> String {
        let latest = UNIX_EPOCH + END_OF_9999;
        let expiry = timestamp(now.checked_add(self.life).map_or(latest, |at| at.min(latest)));
        let signature = STANDARD.encode(self.mac(generation, path, &expiry).finalize().into_bytes());
        form_urlencoded::Serializer::new(String::new())
            .append_pair("sv", VERSION)
            .append_pair("se", &expiry)
            .append_pair("sr", "b")
            .append_pair("sp", "r")
            .append_pair("sig", &signature)
            .finish()
    }

    /// Checks `query` for `path`. Links of a generation before `generation` have expired.
    pub(super) fn check(&self, generation: u64, path: &str, query: &str, now: SystemTime) -> Verdict {
        let value = |name: &str| {
            form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
        };
        let (Some(expiry), Some(signature)) = (value("se"), value("sig")) else {
            return Verdict::Forged;
        };
        let Ok(signature) = STANDARD.decode(signature) else {
            return Verdict::Forged;
        };
        let signed_in = (0..=generation).rev().find(|&g| self.mac(g, path, &expiry).verify_slice(&signature).is_ok());
        match signed_in {
            None => Verdict::Forged,
            // The simulator's own timestamps have one width and are in UTC: their text order is the time order.
            Some(signed) if signed < generation || expiry <= timestamp(now) => Verdict::Expired,
            Some(_) => Verdict::Valid,
        }
    }

    fn mac(&self, generation: u64, path: &str, expiry: &str) -> Hmac<Sha256> {
        Hmac::<Sha256>::new(&self.key.into())
            .chain_update(generation.to_be_bytes())
            .chain_update(path)
            .chain_update("\n")
            .chain_update(expiry)
    }
}

/// Formats a time by RFC 3339 in UTC with seven decimals, the finest that Azure itself writes.
fn timestamp(at: SystemTime) -> String {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    let (days, second) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
    let (year, month, day) = date(days);
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    let decimals = since.subsec_nanos() / 100;
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{decimals:07}Z")
}

/// Returns year, month and day of a day after the epoch.
///
/// Years are counted from March, so that a leap day is the last day of its year and the lengths of the months before it
/// repeat every five: 153 days.
fn date(days_after_epoch: u64) -> (u64, u64, u64) {
    let days = days_after_epoch + DAYS_TO_EPOCH;
    let (cycle, day) = (days / DAYS_IN_400_YEARS, days % DAYS_IN_400_YEARS);
    let leap_days = day / 1_460 + day / (DAYS_IN_400_YEARS - 1);
    let year_of_cycle = (day + day / 36_524 - leap_days) / 365;
    let day_of_year = day + year_of_cycle / 100 - year_of_cycle / 4 - 365 * year_of_cycle;
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day_of_month = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let (month, next_year) = match month_from_march {
        0..=9 => (month_from_march + 3, 0),
        _ => (month_from_march - 9, 1),
    };
    (400 * cycle + year_of_cycle + next_year, month, day_of_month)
}

/// The last second whose year has four digits.
const END_OF_9999: Duration = Duration::from_secs(253_402_300_799);
const VERSION: &str = "2022-11-02";
const DAYS_IN_400_YEARS: u64 = 146_097;
/// From 1 March of year 0 to 1 January 1970.
const DAYS_TO_EPOCH: u64 = 719_468;

#[cfg(test)]
mod tests {
    use super::*;

    const PATH: &str = "/exports/1.parquet";

    fn hour() -> Signer {
        Signer::new(Duration::from_secs(3_600))
    }

    #[test]
    fn writes_the_dates_that_others_write() {
        let table = [
            (0, "1970-01-01T00:00:00.0000000Z"),
            (951_782_399, "2000-02-28T23:59:59.0000000Z"),
            (951_782_400, "2000-02-29T00:00:00.0000000Z"),
            (951_868_800, "2000-03-01T00:00:00.0000000Z"),
            (1_709_164_800, "2024-02-29T00:00:00.0000000Z"),
            (1_735_689_599, "2024-12-31T23:59:59.0000000Z"),
            (1_735_689_600, "2025-01-01T00:00:00.0000000Z"),
            (4_107_542_400, "2100-03-01T00:00:00.0000000Z"),
            (253_402_300_799, "9999-12-31T23:59:59.0000000Z"),
        ];
        for (second, text) in table {
            assert_eq!(timestamp(UNIX_EPOCH + Duration::from_secs(second)), text);
        }
        let fraction = UNIX_EPOCH + Duration::from_nanos(1_234_567_890);
        assert_eq!(timestamp(fraction), "1970-01-01T00:00:01.2345678Z");
    }

    #[test]
    fn agrees_with_http_dates_on_every_day_of_two_centuries() {
        for day in 0..73_000 {
            let at = UNIX_EPOCH + Duration::from_secs(day * 86_400);
            let (year, month, date) = date(day);
            let http = httpdate::fmt_http_date(at);
            let name = ["Jan", "Feb", "Mar", "Apr", "May", "Jun"]
                .into_iter()
                .chain(["Jul", "Aug", "Sep", "Oct", "Nov", "Dec"])
                .nth(usize::try_from(month).unwrap() - 1)
                .unwrap();
            assert_eq!(&http[5..16], format!("{date:02} {name} {year}"));
        }
    }

    #[test]
    fn opens_only_the_path_that_it_signed() {
        let (signer, now) = (hour(), SystemTime::now());
        let query = signer.sign(0, PATH, now);
        assert_eq!(signer.check(0, PATH, &query, now), Verdict::Valid);
        assert_eq!(signer.check(0, "/exports/2.parquet", &query, now), Verdict::Forged);
        assert_eq!(hour().check(0, PATH, &query, now), Verdict::Forged);
    }

    #[test]
    fn refuses_what_was_changed_or_left_out() {
        let (signer, now) = (hour(), SystemTime::now());
        let query = signer.sign(0, PATH, now);
        let later = query.replacen("se=2", "se=3", 1);
        assert_ne!(later, query);
        let unsigned = query.split("&sig=").next().unwrap();
        for changed in [later.as_str(), unsigned, "", "se=&sig=", "sig=%FF&se=2030"] {
            assert_eq!(signer.check(0, PATH, changed, now), Verdict::Forged, "{changed}");
        }
    }

    #[test]
    fn expires_to_the_fraction_of_a_second() {
        let signer = Signer::new(Duration::from_millis(250));
        let now = UNIX_EPOCH + Duration::from_millis(1_700_000_000_900);
        let query = signer.sign(0, PATH, now);
        let at = |millis| signer.check(0, PATH, &query, now + Duration::from_millis(millis));
        assert_eq!(at(249), Verdict::Valid);
        assert_eq!(at(250), Verdict::Expired);
    }

    #[test]
    fn a_new_generation_expires_the_links_of_the_old() {
        let (signer, now) = (hour(), SystemTime::now());
        let old = signer.sign(0, PATH, now);
        assert_eq!(signer.check(2, PATH, &old, now), Verdict::Expired);
        let new = signer.sign(2, PATH, now);
        assert_eq!(signer.check(2, PATH, &new, now), Verdict::Valid);
        assert_eq!(signer.check(1, PATH, &new, now), Verdict::Forged);
    }

    #[test]
    fn a_link_for_ever_ends_with_the_year_9999() {
        let (signer, now) = (Signer::new(Duration::MAX), SystemTime::now());
        let query = signer.sign(0, PATH, now);
        assert!(query.contains("se=9999-12-31T23%3A59%3A59"), "{query}");
        assert_eq!(signer.check(0, PATH, &query, now), Verdict::Valid);
    }

    #[test]
    fn the_signature_is_escaped_for_a_query() {
        let (signer, now) = (hour(), SystemTime::now());
        for second in 0..200 {
            let query = signer.sign(0, PATH, now + Duration::from_secs(second));
            let (_, signature) = query.split_once("&sig=").unwrap();
            assert!(!signature.contains(['+', '/', '=']), "{signature}");
        }
    }
}
