//! The audit log.

use prometheus::IntCounter;

use super::Register;

/// The lines of the audit log.
#[derive(Debug, Clone)]
pub struct AuditMetrics {
    /// Lines in the file.
    pub written: IntCounter,
    lost: [IntCounter; AuditLoss::ALL.len()],
}

impl AuditMetrics {
    /// Counts lines that are not in the file.
    pub fn lose(&self, why: AuditLoss, lines: u64) {
        if let Some(counter) = self.lost.get(why as usize) {
            counter.inc_by(lines);
        }
    }
}

label! {
    /// Why a line is not in the file.
    AuditLoss {
        /// The disk is slower than the calls are.
        QueueFull = "queue_full",
        /// The file cannot be written.
        Unwritable = "unwritable",
    }
}

impl AuditMetrics {
    pub(super) fn new(register: &Register<'_>) -> Result<Self, prometheus::Error> {
        let lost = register.counters(
            "audit_dropped_total",
            "Lines that are missing in the audit log",
            &["reason"],
        )?;
        Ok(Self {
            written: register.add(IntCounter::new("audit_lines_total", "Lines in the audit log")?)?,
            lost: AuditLoss::ALL.map(|why| lost.with_label_values(&[why.label()])),
        })
    }
}
