//! One asynchronous job, of any kind: its progress from poll to poll, and its end.

/// The kinds of jobs, each of which has words of its own for its states.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Details of conversations or of users.
    Details,
    Audit,
    Recordings,
    Batch,
    Export,
}

/// How a job ends.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum JobEnd {
    /// With all results.
    #[default]
    Complete,
    /// With a part of the results: `COMPLETED_WITH_PARTIAL_RESULTS` of an export. A job of another kind is complete.
    Partial,
    /// As failed, for this reason.
    Failed(String),
    /// As expired, before its results were written. Only a details job has this state; others fail.
    Expired,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Queued,
    Running,
    /// The job waits for the request that starts its second part.
    Ready,
    Done,
    Partial,
    Failed,
    Canceled,
    Expired,
}

#[derive(Debug)]
pub(super) struct Job {
    pub(super) kind: Kind,
    end: JobEnd,
    /// How many polls find the job at work before it ends, or before each of its two parts ends.
    busy_polls: u32,
    polls: u32,
    /// Whether the second part was started.
    started: bool,
    canceled: bool,
    /// The ids of the recordings that a batch names, in the order of its request.
    pub(super) recordings: Vec<String>,
}

impl Job {
    pub(super) const fn new(kind: Kind, end: JobEnd, busy_polls: u32) -> Self {
        Self { kind, end, busy_polls, polls: 0, started: false, canceled: false, recordings: Vec::new() }
    }

    /// Returns the stage that this poll finds.
    pub(super) fn poll(&mut self) -> Stage {
        let stage = self.stage();
        self.polls = self.polls.saturating_add(1);
        stage
    }

    /// Returns the stage that the next poll would find.
    pub(super) fn stage(&self) -> Stage {
        let is_busy = self.polls < self.busy_polls;
        match &self.end {
            _ if self.canceled => Stage::Canceled,
            _ if is_busy && self.polls == 0 && !self.started => Stage::Queued,
            _ if is_busy => Stage::Running,
            JobEnd::Failed(_) => Stage::Failed,
            JobEnd::Expired if self.kind == Kind::Details => Stage::Expired,
            JobEnd::Expired => Stage::Failed,
            _ if self.kind == Kind::Recordings && !self.started => Stage::Ready,
            JobEnd::Partial if self.kind == Kind::Export => Stage::Partial,
            JobEnd::Partial | JobEnd::Complete => Stage::Done,
        }
    }

    /// Starts the second part of a job that is ready for it, and returns whether it was.
    pub(super) fn start(&mut self) -> bool {
        let is_ready = self.stage() == Stage::Ready;
        if is_ready {
            (self.started, self.polls) = (true, 0);
        }
        is_ready
    }

    /// Cancels the job, unless it has ended.
    pub(super) fn cancel(&mut self) {
        self.canceled |= self.is_open();
    }

    pub(super) fn is_open(&self) -> bool {
        matches!(self.stage(), Stage::Queued | Stage::Running | Stage::Ready)
    }

    /// Returns the state's word in the vocabulary of the kind.
    pub(super) const fn word(&self, stage: Stage) -> &'static str {
        match self.kind {
            Kind::Details => match stage {
                Stage::Queued => "QUEUED",
                Stage::Running | Stage::Ready => "PENDING",
                Stage::Done | Stage::Partial => "FULFILLED",
                Stage::Failed => "FAILED",
                Stage::Canceled => "CANCELLED",
                Stage::Expired => "EXPIRED",
            },
            Kind::Audit => match stage {
                Stage::Queued => "Queued",
                Stage::Running | Stage::Ready => "Running",
                Stage::Done | Stage::Partial => "Succeeded",
                Stage::Failed | Stage::Expired => "Failed",
                Stage::Canceled => "Cancelled",
            },
            Kind::Recordings => match stage {
                Stage::Queued => "PENDING",
                Stage::Running => "PROCESSING",
                Stage::Ready => "READY",
                Stage::Done | Stage::Partial => "FULFILLED",
                Stage::Failed | Stage::Expired => "FAILED",
                Stage::Canceled => "CANCELLED",
            },
            Kind::Batch => match stage {
                Stage::Queued | Stage::Running | Stage::Ready => "PROCESSING",
                Stage::Done | Stage::Partial => "FULFILLED",
                Stage::Failed | Stage::Expired => "FAILED",
                Stage::Canceled => "CANCELLED",
            },
            Kind::Export => match stage {
                Stage::Queued => "SUBMITTED",
                Stage::Running | Stage::Ready => "RUNNING",
                Stage::Done => "COMPLETED",
                Stage::Partial => "COMPLETED_WITH_PARTIAL_RESULTS",
                Stage::Failed | Stage::Expired => "FAILED",
                Stage::Canceled => "CANCELLED",
            },
        }
    }

    /// Returns the progress that the last poll found: 0 to 100.
    pub(super) fn percent(&self, stage: Stage) -> u32 {
        let before = u64::from(self.polls.saturating_sub(1));
        let percent = (before * 100).checked_div(u64::from(self.busy_polls)).unwrap_or(0).min(99);
        match stage {
            Stage::Queued => 0,
            Stage::Running => u32::try_from(percent).unwrap_or(99),
            Stage::Ready | Stage::Done | Stage::Partial => 100,
            Stage::Failed | Stage::Canceled | Stage::Expired => 0,
        }
    }

    /// Returns how many of the batch's recordings were found so far.
    pub(super) fn found(&self, stage: Stage) -> usize {
        let all = self.recordings.len();
        let percent = usize::try_from(self.percent(stage)).unwrap_or(0);
        if stage == Stage::Done { all } else { all * percent / 100 }
    }

    /// Returns why the job failed.
    pub(super) fn failure(&self) -> Option<&str> {
        match &self.end {
            JobEnd::Failed(message) => Some(message),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(kind: Kind, end: JobEnd, polls: usize) -> Vec<&'static str> {
        let mut job = Job::new(kind, end, 2);
        let mut poll = || {
            let stage = job.poll();
            job.word(stage)
        };
        (0..polls).map(|_| poll()).collect()
    }

    #[test]
    fn each_kind_speaks_in_its_own_words() {
        for (kind, end, said) in [
            (Kind::Details, JobEnd::Complete, ["QUEUED", "PENDING", "FULFILLED"]),
            (Kind::Details, JobEnd::Expired, ["QUEUED", "PENDING", "EXPIRED"]),
            (Kind::Details, JobEnd::Partial, ["QUEUED", "PENDING", "FULFILLED"]),
            (Kind::Audit, JobEnd::Complete, ["Queued", "Running", "Succeeded"]),
            (Kind::Audit, JobEnd::Expired, ["Queued", "Running", "Failed"]),
            (Kind::Recordings, JobEnd::Complete, ["PENDING", "PROCESSING", "READY"]),
            (Kind::Batch, JobEnd::Complete, ["PROCESSING", "PROCESSING", "FULFILLED"]),
            (Kind::Export, JobEnd::Partial, ["SUBMITTED", "RUNNING", "COMPLETED_WITH_PARTIAL_RESULTS"]),
            (Kind::Export, JobEnd::Failed("no".into()), ["SUBMITTED", "RUNNING", "FAILED"]),
        ] {
            assert_eq!(words(kind, end, 3), said);
        }
    }

    #[test]
    fn recordings_are_started_once_when_they_are_ready() {
        let mut job = Job::new(Kind::Recordings, JobEnd::Complete, 1);
        assert!(!job.start());
        assert_eq!([job.poll(), job.poll()], [Stage::Queued, Stage::Ready]);
        assert!(job.start());
        assert!(!job.start());
        assert_eq!([job.poll(), job.poll()], [Stage::Running, Stage::Done]);
    }

    #[test]
    fn a_job_that_has_ended_stays_as_it_is() {
        let mut job = Job::new(Kind::Details, JobEnd::Complete, 0);
        job.cancel();
        assert_eq!(job.poll(), Stage::Done);
        let mut job = Job::new(Kind::Details, JobEnd::Complete, 1);
        job.cancel();
        assert_eq!(job.poll(), Stage::Canceled);
    }
}
