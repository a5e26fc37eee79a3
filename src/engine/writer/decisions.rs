//! What the fold decided, written into the log behind the records that led to it.
//!
//! Invariant: a decision is in the log before anybody is answered, or it waits and is tried again
//! with the next batch; the state that led to it is in the log in any case.

use super::{Writer, fold_record};
use crate::domain::record::{Entry, Record};
use crate::engine::EngineError;
use crate::engine::codec::RecordCodec;
use crate::journal::{Batch, Room};

impl Writer {
    /// Appends a record for each decision that the log does not hold yet, and folds it.
    ///
    /// # Errors
    /// As for a batch: they wait.
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
            self.codec.encode_entry(entry, &mut encoded);
            batch.push(|out| RecordCodec::frame(false, &encoded, out));
        }
        self.append(&batch)?;
        let received_at = self.clock.at();
        let mut monitor = self.monitor.write();
        for (sequence, entry) in (first..).zip(entries) {
            fold_record(&mut monitor, &Record { sequence, received_at, more: false, entry });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use parking_lot::RwLock;

    use super::*;
    use crate::domain::control::Decided;
    use crate::domain::ids::{Account, Actor};
    use crate::domain::limits;
    use crate::domain::monitor::Monitor;
    use crate::domain::record::Decision;
    use crate::domain::settings::Settings;
    use crate::domain::state::TradingState;
    use crate::domain::time::Timestamp;
    use crate::engine::{SettingsCodec, Submission};
    use crate::journal::MemoryLog;

    fn codec() -> RecordCodec {
        RecordCodec::new(SettingsCodec {
            encode: |_| Vec::new(),
            decode: |_| Ok(Settings::default()),
        })
    }

    fn writer() -> Writer {
        let monitor = Monitor::new(Arc::new(Settings::default()));
        let log = Box::new(MemoryLog::new(limits::MEMORY_LOG_BYTES_MAX));
        Writer::new(Arc::new(RwLock::new(monitor)), log, codec())
    }

    fn decide(decision: Decision) -> Submission {
        Submission::new(vec![Entry::Decision(decision)], Vec::new(), &codec())
    }

    fn halt(account: &str) -> Submission {
        decide(Decision::Halt {
            account: Account::new(account).unwrap(),
            state: TradingState::Halted,
            reason: "by hand".to_owned(),
            by: Actor::new("op").unwrap().into(),
        })
    }

    fn release(account: &str, epoch: u64) -> Submission {
        decide(Decision::Release {
            account: Account::new(account).unwrap(),
            epoch,
            causes: Vec::new(),
            force: false,
            reason: "seen".to_owned(),
            by: Actor::new("op").unwrap().into(),
        })
    }

    /// The log as text: `D` a decision of a person, `H` and `R` what the fold made of it.
    fn told(writer: &Writer) -> String {
        let mut told = String::new();
        let mut visit = |batch: &Batch| {
            told.extend(batch.records().map(|bytes| match codec().decode(bytes).unwrap().1 {
                Entry::Decision(_) => 'D',
                Entry::Control(control) => match control.decided {
                    Decided::Halt(_) => 'H',
                    Decided::Release { .. } => 'R',
                    Decided::Reconcile { .. } => 'C',
                },
                Entry::Event(_)
                | Entry::Tick
                | Entry::Clock { .. }
                | Entry::Check(_)
                | Entry::Settings(_) => '?',
            }));
            Ok(())
        };
        writer.log.replay(1, &mut visit).unwrap();
        told
    }

    #[test]
    fn each_decision_stands_in_the_log_before_it_is_answered() {
        let mut writer = writer();
        let check = |writer: &mut Writer, submissions: Vec<Submission>, expect: &str| {
            writer.commit(submissions, Timestamp::MIN).unwrap();
            assert_eq!(told(writer), expect);
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
    fn a_crash_before_a_decision_was_written_writes_it_after_the_restart() {
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
        assert_eq!(told(&second), "DH");
        let states = [&first, &second].map(|writer| format!("{:?}", writer.monitor.read()));
        assert_eq!(states[0], states[1]);
    }
}
