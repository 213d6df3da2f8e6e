//! Check: what no task of a protocol could do, found before one is submitted.

use super::Protocol;

impl Protocol {
    /// Checks all templates of the protocol: of the status URL, the result, the pages, and the requests that poll, start,
    /// cancel and clean up.
    ///
    /// ```
    /// use longhaul::Protocol;
    ///
    /// let protocol = Protocol::auto().status_template("jobs/{job_id}");
    /// assert!(protocol.check().unwrap_err().contains("{job_id} is no member that is known"));
    /// assert_eq!(Protocol::auto().status_template("jobs/{id}").check(), Ok(()));
    /// ```
    ///
    /// # Errors
    /// The first template that cannot be filled, and why: a member that is neither the id nor a JSON pointer, a brace
    /// without its other, a member of an answer where there is none, a text that makes no URL.
    pub fn check(&self) -> Result<(), String> {
        let of = |what: &str, checked: Result<(), String>| checked.map_err(|why| format!("{what}: {why}"));
        let url = self.status_template.as_ref();
        url.map_or(Ok(()), |template| of("status_template", template.check_one(true)))?;
        let starts = self.start.iter().map(|start| ("start", &start.request));
        let others = [("poll", &self.poll), ("cancel", &self.cancel), ("cleanup", &self.cleanup)];
        let others = others.into_iter().filter_map(|(what, exchange)| Some((what, exchange.as_ref()?)));
        others.chain(starts).try_for_each(|(what, exchange)| of(what, exchange.check()))?;
        self.result.iter().try_for_each(|rule| of("result", rule.check()))?;
        self.pages.as_ref().map_or(Ok(()), |rule| of("pages", rule.check()))
    }
}
