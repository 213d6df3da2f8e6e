//! A sealed token: a resume token that nobody without the key can read, or edit undetected.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::ResumeToken;
use crate::credential::{FileKey, RESUME_TOKEN, Unreadable};
use crate::error::{Error, ErrorKind};

impl ResumeToken {
    /// Returns the token as text, encrypted and authenticated (XChaCha20-Poly1305) with your own key: one line of
    /// URL-safe base64.
    ///
    /// Beside the contents of the plain text, the sealed token holds every header of the task that was not set as a
    /// [secret](crate::TaskBuilder::secret_header), a protocol of the task's own, and status URLs of other origins.
    /// [`Client::resume`](crate::Client::resume) uses all of them again, because nobody can have edited them.
    ///
    /// ```
    /// # use longhaul::testing::{reply, script};
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> longhaul::Result<()> {
    /// # let service = script([reply(202).header("location", "tasks/7"), reply(200).json(serde_json::json!(7))]);
    /// # let client = service.client().build()?;
    /// use longhaul::ResumeToken;
    /// use longhaul::credentials::FileKey;
    ///
    /// // As `openssl rand -base64 32` makes one; keep it apart from the tokens.
    /// let key = FileKey::from_base64("5kDl7dTMLDcZ1mWmCLZeXUlyD7Ov4V4sMpKVz0v1pF0=")?;
    /// let task = client.task().post("exports").submit::<u32>().await?;
    /// let text = task.token().seal(&key)?;
    ///
    /// let token = ResumeToken::open_sealed(&text, &key)?;
    /// assert_eq!(client.resume::<u32>(token)?.await?.value()?, 7);
    /// assert!(ResumeToken::open_sealed(&text.replace('A', "B"), &key).is_err());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::InvalidToken`] if the system provides no random numbers.
    pub fn seal(&self, key: &FileKey) -> Result<String, Error> {
        let failed = |why: &str| Error::new(ErrorKind::InvalidToken, format!("it could not be sealed: {why}"));
        let inside = Inside { token: self.clone(), headers: self.unnamed.clone() };
        let text = Zeroizing::new(serde_json::to_vec(&inside).map_err(|_| failed("it does not serialize"))?);
        let sealed =
            RESUME_TOKEN.seal(key, ANYWHERE, &text).ok_or_else(|| failed("the system has no random numbers"))?;
        Ok(URL_SAFE_NO_PAD.encode(&*sealed))
    }

    /// Opens a token that [`seal`](ResumeToken::seal) created. Any edit of the text, and any other key, is an error.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidToken`], which states whether the text is cut, of another version, plain, or changed.
    pub fn open_sealed(text: &str, key: &FileKey) -> Result<Self, Error> {
        let wrong = |why: &str| Error::new(ErrorKind::InvalidToken, why);
        let text = text.trim();
        if text.starts_with('{') {
            return Err(wrong("it is a token that is not sealed: read it with `parse` if its text is trusted"));
        }
        let sealed = URL_SAFE_NO_PAD.decode(text).map_err(|_| wrong("it is not the text of a sealed token"))?;
        let text = RESUME_TOKEN.unseal(key, ANYWHERE, &sealed).map_err(|why| {
            wrong(match why {
                Unreadable::Cut => "the sealed token is cut off",
                Unreadable::OtherVersion => "the sealed token is of another version of this crate",
                Unreadable::PlainText | Unreadable::Foreign => "it is not the text of a sealed token",
                Unreadable::Changed => "the sealed token was changed, or sealed with another key",
            })
        })?;
        let text = std::str::from_utf8(&text).map_err(|_| wrong("the sealed token holds no text"))?;
        let inside: Inside = serde_json::from_str(text)
            .map_err(|error| wrong("the sealed token is of another version of this crate").with_source(error))?;
        let mut token = inside.token;
        (token.unnamed, token.trusted) = (inside.headers, true);
        Ok(token)
    }
}

/// A token is bound to no place: another process on another machine may resume it.
const ANYWHERE: &[u8] = b"";

/// The sealed contents.
#[derive(Serialize, Deserialize)]
struct Inside {
    token: ResumeToken,
    /// Headers that a plain token leaves out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    headers: Vec<(String, String)>,
}
