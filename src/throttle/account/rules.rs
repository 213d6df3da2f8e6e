//! Rules: the limits of an account, as they are installed, changed and removed.

use std::sync::Arc;

use super::rule::{AccountName, CountedRequests, Rule, RuleLimiters};
use crate::clock::Clock;
use crate::error::{Error, ErrorKind};
use crate::limit::{Limit, Window};
use crate::message::Priority;
use crate::throttle::ids::LimiterId;
use crate::throttle::limiters::Limiters;
use crate::throttle::limiters::set::LimiterSet;
use crate::throttle::request::RequestFacts;

/// The limits of an account, each window separately.
#[derive(Debug, Default)]
pub(in crate::throttle) struct AccountRules {
    rules: Vec<Rule>,
    account: AccountName,
}

/// The limiters of an account's rules that count a request.
#[derive(Debug, Default)]
pub(in crate::throttle) struct Matched {
    pub(in crate::throttle) set: LimiterSet,
    /// Whether one of them is a limit that holds requests back.
    pub(in crate::throttle) declared: bool,
}

impl AccountRules {
    pub(in crate::throttle) const fn new(account: AccountName) -> Self {
        Self { rules: Vec::new(), account }
    }

    /// Adds the limiters that count a request to `matched`, created if a key is new.
    pub(in crate::throttle) fn collect(
        &mut self,
        request: &RequestFacts<'_>,
        class: Priority,
        clock: Clock,
        limiters: &mut Limiters,
        matched: &mut Matched,
    ) {
        let account = &self.account;
        for rule in &mut self.rules {
            // Limits per host also count a foreign request, each host separately; no other limit of the account does.
            if request.is_foreign && !rule.counts_foreign() {
                continue;
            }
            let Some(key) = rule.matches(request, class) else { continue };
            matched.declared |= !rule.limit.is_soft();
            let known = match &rule.limiters {
                RuleLimiters::One(id) => Some(*id),
                RuleLimiters::ByKey(by_key) => by_key.get(key.as_ref()).copied(),
            };
            let id = known.unwrap_or_else(|| {
                let id = limiters.add(rule.limiter(&key, account, clock, limiters.terms()));
                if let RuleLimiters::ByKey(by_key) = &mut rule.limiters {
                    by_key.insert(key.into_owned(), id);
                }
                id
            });
            matched.set.add(id);
        }
    }

    /// Returns whether a rule depends on the method or the path of a request.
    pub(in crate::throttle) fn look_at_routes(&self) -> bool {
        self.rules.iter().any(Rule::looks_at_route)
    }

    /// Installs limits, all or none. A window that already exists is shared, and a window that contradicts it is an
    /// error.
    pub(in crate::throttle) fn install(
        &mut self,
        base: &str,
        limits: &[Limit],
        clock: Clock,
        limiters: &mut Limiters,
    ) -> Result<(), Error> {
        let wrong = |why: String| Err(Error::new(ErrorKind::Config, why));
        let mut new: Vec<Rule> = Vec::new();
        for limit in limits {
            limit.check()?;
            if let Some(window) = limit.repeated() {
                return wrong(format!("the limit `{limit}` has two windows as long as `{window}`: keep one"));
            }
            for window in limit.windows() {
                if limiters.terms().is_some()
                    && let Some(why) = unshared(limit, window)
                {
                    return wrong(format!("the limit `{limit}` cannot be shared between processes: {why}"));
                }
                let counted = CountedRequests::of(limit, base)?;
                match self.rules.iter().chain(&new).find(|rule| rule.is_of(&counted, window)) {
                    None => new.push(Rule::new(counted, limit, window)),
                    Some(rule) if rule.agrees(limit, window) => {}
                    Some(rule) => {
                        return wrong(format!(
                            "the limit `{limit}` contradicts `{}`, which is kept already for the same requests: give \
                             all clients of an account the same limits, or change one with `Throttle::change_limit`; a \
                             profile's own are left out with `Profile::without_limits`",
                            rule.limit
                        ));
                    }
                }
            }
        }
        for mut rule in new {
            if !rule.is_keyed() {
                rule.limiters =
                    RuleLimiters::One(limiters.add(rule.limiter("", &self.account, clock, limiters.terms())));
            }
            self.rules.push(rule);
        }
        Ok(())
    }

    /// Changes the amounts of a limit's windows, with the counts kept. Returns the limiters that changed.
    pub(in crate::throttle) fn change(
        &mut self,
        base: &str,
        limit: &Limit,
        clock: Clock,
        limiters: &mut Limiters,
    ) -> Result<Vec<LimiterId>, Error> {
        limit.check()?;
        let counted = CountedRequests::of(limit, base)?;
        let find = |window: &Window| self.rules.iter().position(|rule| rule.is_of(&counted, window));
        let Some(found) = limit.windows().iter().map(find).collect::<Option<Vec<_>>>() else {
            let kept: Vec<_> = self.limits().iter().map(ToString::to_string).collect();
            let why = format!(
                "`{limit}` matches none of the limits of this handle, [{}]: the scope and the lengths of the windows \
                 must be the same, and `Client::throttle` is the handle for a client's own limits",
                kept.join(", ")
            );
            return Err(Error::new(ErrorKind::Config, why));
        };
        let mut changed = Vec::new();
        for (at, window) in found.into_iter().zip(limit.windows()) {
            let Some(rule) = self.rules.get_mut(at) else { continue };
            rule.window.clone_from(window);
            rule.limit.set(window);
            for id in rule.limiters.ids() {
                let limiter = limiters.of_mut(id);
                limiter.change(window, &rule.limit, clock);
                limiter.label = rule.label(&limiter.key, self.account.name.as_deref());
                changed.push(id);
            }
        }
        Ok(changed)
    }

    /// Removes the windows of a limit. Returns their limiters, which no longer hold requests back; `None` if there were
    /// no such windows.
    pub(in crate::throttle) fn remove(
        &mut self,
        base: &str,
        limit: &Limit,
        limiters: &mut Limiters,
    ) -> Option<Vec<LimiterId>> {
        let counted = CountedRequests::of(limit, base).ok()?;
        let is_it = |rule: &Rule| limit.windows().iter().any(|window| rule.is_of(&counted, window));
        let gone: Vec<Rule> = self.rules.extract_if(.., |rule| is_it(rule)).collect();
        let ids: Vec<_> = gone.iter().flat_map(|rule| rule.limiters.ids()).collect();
        ids.iter().for_each(|id| limiters.of_mut(*id).retire());
        (!gone.is_empty()).then_some(ids)
    }

    /// Returns the limits, each window separately.
    pub(in crate::throttle) fn limits(&self) -> Vec<Limit> {
        self.rules.iter().map(|rule| rule.limit.only(&rule.window)).collect()
    }

    pub(in crate::throttle) const fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Returns all limiters, in the order of the rules and of their keys.
    pub(in crate::throttle) fn ids(&self) -> Vec<LimiterId> {
        self.rules.iter().flat_map(|rule| rule.limiters.ids()).collect()
    }

    /// Returns the limits of the API that have not counted any request so far.
    pub(in crate::throttle) fn unmatched(&self, limiters: &Limiters) -> Vec<Arc<str>> {
        let is_unused = |rule: &&Rule| rule.is_of_the_api() && !rule.used && !rule.limiters.is_used(limiters);
        self.rules.iter().filter(is_unused).map(|rule| rule.label("", self.account.name.as_deref())).collect()
    }

    /// Records which rules have counted a request, before their limiters are discarded.
    pub(in crate::throttle) fn note_use(&mut self, limiters: &Limiters) {
        for rule in &mut self.rules {
            rule.used = rule.used || rule.limiters.is_used(limiters);
        }
    }

    /// Removes keys whose limiters are not kept.
    pub(in crate::throttle) fn retain(&mut self, mut is_kept: impl FnMut(LimiterId) -> bool) {
        for rule in &mut self.rules {
            if let RuleLimiters::ByKey(by_key) = &mut rule.limiters {
                by_key.retain(|_, id| is_kept(*id));
            }
        }
    }
}

/// Returns why a window cannot be shared between processes, if it cannot.
fn unshared(limit: &Limit, window: &Window) -> Option<&'static str> {
    match window {
        _ if limit.is_soft() => None,
        Window::Bytes { .. } => Some("a store counts requests, not bytes"),
        Window::Concurrent { .. } => Some("a store counts requests in a time, not at once"),
        Window::Sliding { .. } if limit.queue().is_some() => Some("the queue of the service cannot be divided"),
        Window::Sliding { .. } | Window::Daily { .. } => None,
    }
}
