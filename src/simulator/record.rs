//! What happened: recorded calls for tests, activities for whoever watches.

use std::collections::VecDeque;
use std::time::Duration;

use serde_json::Value;

/// Recorded calls kept; the oldest go first.
const MAX_CALLS: usize = 10_000;
/// Bytes of recorded frames kept.
const MAX_BYTES: usize = 64 << 20;

/// One call as it arrived, before it was carried out.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordedCall {
    /// 1 for the first call of the simulator.
    pub number: u64,
    /// Which connection it came in on: 1 for the first one opened.
    pub connection: u64,
    /// The action with its suffix, as it was sent.
    pub action: String,
    /// `{}` if the call had none.
    pub params: Value,
    /// `None` if the call had none, or `null`.
    pub echo: Option<Value>,
    /// Length of the whole frame in bytes.
    pub bytes: usize,
}

/// Something worth a line on a terminal.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Activity {
    /// A connection is open; `via` says how it came about.
    Opened {
        /// Its number, counted from 1.
        connection: u64,
        /// Path and peer, or the address dialled.
        via: String,
    },
    /// A connection has ended.
    Closed {
        /// Its number.
        connection: u64,
    },
    /// A connection with a wrong token was refused, or could not be dialled.
    Failed {
        /// Who or what, and why.
        reason: String,
    },
    /// A call arrived; it has not been carried out yet.
    Called(RecordedCall),
    /// A call was carried out.
    Answered {
        /// The number of the call.
        number: u64,
        /// Its action.
        action: String,
        /// The reply's `retcode`: 0 is success.
        retcode: i64,
        /// Time since the call arrived.
        took: Duration,
        /// False if the reply was withheld.
        sent: bool,
    },
}

/// The last calls, bounded in number and bytes.
#[derive(Default)]
pub(crate) struct CallLog {
    calls: VecDeque<RecordedCall>,
    bytes: usize,
    pub(crate) count: u64,
}

impl CallLog {
    pub(crate) fn record(
        &mut self,
        connection: u64,
        bytes: usize,
        (action, params, echo): (&str, &Value, &Option<Value>),
    ) -> RecordedCall {
        self.count += 1;
        let call = RecordedCall {
            number: self.count,
            connection,
            action: action.to_owned(),
            params: params.clone(),
            echo: echo.clone(),
            bytes,
        };
        self.bytes += bytes;
        self.calls.push_back(call.clone());
        while self.calls.len() > MAX_CALLS || (self.bytes > MAX_BYTES && self.calls.len() > 1) {
            self.bytes -= self.calls.pop_front().map_or(0, |oldest| oldest.bytes);
        }
        call
    }

    pub(crate) fn calls(&self) -> Vec<RecordedCall> {
        self.calls.iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_forgets_the_oldest_and_keeps_counting() {
        let mut log = CallLog::default();
        for _ in 0..=MAX_CALLS {
            log.record(1, 10, ("get_status", &Value::Null, &None));
        }
        let calls = log.calls();
        assert_eq!((calls.len(), calls[0].number), (MAX_CALLS, 2));
        assert_eq!(log.count, MAX_CALLS as u64 + 1);

        log.record(1, MAX_BYTES, ("upload_group_file", &Value::Null, &None));
        assert_eq!(log.calls().len(), 1);
    }
}
