//! Decisions of the fold, written to the log after the records that led to them.
//!
//! Invariant: a decision is in the log before the request is answered, or it waits and is retried with
//! the next batch; the records that led to it are in the log in any case.

use super::Writer;
use crate::domain::record::{Entry, Record};
use crate::engine::EngineError;
use crate::engine::codec;
use crate::journal::{Batch, Room};

impl Writer {
    /// Appends a record for each decision that is not in the log yet, and applies it.
    ///
    /// # Errors
    /// Those of a batch; then the decisions wait.
    pub(super) fn record_decisions(&mut self) -> Result<(), EngineError> {
        let entries: Vec<Entry> = {
            let monitor = self.monitor.read();
            monitor.unrecorded().cloned().map(Entry::Control).collect()
        };
        if entries.is_empty() {
            return Ok(());
        }
        let first = self.monitor.read().sequence() + 1;
        let mut batch = Batch::new(first, self.clock.at().as_nanos(), Room::Reserve);
        for entry in &entries {
            let mut encoded = Vec::new();
            codec::encode_entry(entry, &mut encoded);
            batch.push(|out| codec::frame(false, &encoded, out));
        }
        self.append(&batch)?;
        let received_at = self.clock.at();
        let mut monitor = self.monitor.write();
        // A control record publishes nothing: its directives were published with its cause.
        let mut unsent = Vec::new();
        for (sequence, entry) in (first..).zip(entries) {
            monitor.apply(&Record { sequence, received_at, more: false, entry }, &mut unsent);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use parking_lot::RwLock;

    use super::*;
    use crate::domain::control::FoldDecision;
    use crate::domain::ids::{Account, Actor};
    use crate::domain::limits;
    use crate::domain::monitor::Monitor;
    use crate::domain::record::Decision;
    use crate::domain::state::TradingState;
    use crate::domain::time::Timestamp;
    use crate::engine::{EncodedRequest, decode_record};
    use crate::journal::MemoryLog;

    fn writer() -> Writer {
        let monitor = Monitor::new(Arc::default());
        let log = Box::new(MemoryLog::new(limits::MEMORY_LOG_BYTES_MAX));
        Writer::new(Arc::new(RwLock::new(monitor)), log)
    }

    fn decide(decision: Decision) -> EncodedRequest {
        EncodedRequest::new(vec![Entry::Decision(decision)], Vec::new())
    }

    fn halt(account: &str) -> EncodedRequest {
        decide(Decision::Halt {
            account: Account::new(account).unwrap(),
            state: TradingState::Halted,
            reason: "by hand".to_owned(),
            by: Actor::new("op").unwrap().into(),
        })
    }

    fn release(account: &str, epoch: u64) -> EncodedRequest {
        decide(Decision::Release {
            account: Account::new(account).unwrap(),
            epoch,
            causes: Vec::new(),
            force: false,
            reason: "seen".to_owned(),
            by: Actor::new("op").unwrap().into(),
        })
    }

    /// The log as text: `D` for a decision of a person; `H`, `R`, `C` for a halt, a release, a reconcile
    /// of the fold.
    fn kinds(writer: &Writer) -> String {
        let mut kinds = String::new();
        let mut visit = |batch: &Batch| {
            kinds.extend(batch.records().map(|bytes| match decode_record(bytes).unwrap().1 {
                Entry::Decision(_) => 'D',
                Entry::Control(control) => match control.decided {
                    FoldDecision::Halt(_) => 'H',
                    FoldDecision::Release { .. } => 'R',
                    FoldDecision::Reconcile { .. } => 'C',
                },
                Entry::Event(_)
                | Entry::Opening(_)
                | Entry::Tick
                | Entry::Clock { .. }
                | Entry::Check(_)
                | Entry::Note(_)
                | Entry::Settings(_) => '?',
            }));
            Ok(())
        };
        writer.log.replay(1, &mut visit).unwrap();
        kinds
    }

    #[test]
    fn each_decision_is_in_the_log_before_its_answer() {
        let mut writer = writer();
        let check = |writer: &mut Writer, submissions: Vec<EncodedRequest>, expect: &str| {
            writer.commit(submissions, Timestamp::MIN).unwrap();
            assert_eq!(kinds(writer), expect);
            assert_eq!(writer.monitor.read().unrecorded().len(), 0);
            assert_eq!(writer.monitor.read().decisions_missed(), 0);
        };
        check(&mut writer, vec![halt("a")], "DH");
        check(&mut writer, vec![halt("b"), halt("*")], "DHDDHH");
        check(&mut writer, vec![release("a", 7)], "DHDDHHD");
        check(&mut writer, vec![release("a", 2)], "DHDDHHDDR");
        check(&mut writer, vec![], "DHDDHHDDR");
    }

    #[test]
    fn a_decision_lost_in_a_crash_is_written_after_the_restart() {
        let mut first = writer();
        first.commit(vec![halt("a")], Timestamp::MIN).unwrap();
        let mut second = writer();
        let mut only_the_first = |batch: &Batch| match batch.first_sequence() {
            1 => second.log.append(batch),
            _ => Ok(()),
        };
        first.log.replay(1, &mut only_the_first).unwrap();
        second.recover(&mut |_, _| ()).unwrap();
        assert_eq!(second.monitor.read().unrecorded().len(), 1);
        second.commit(Vec::new(), Timestamp::MIN).unwrap();
        assert_eq!(kinds(&second), "DH");
        let states = [&first, &second].map(|writer| format!("{:?}", writer.monitor.read()));
        assert_eq!(states[0], states[1]);
    }
}
