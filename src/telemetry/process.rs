//! Figures of this process, read from `/proc/self` (nothing where that does not exist).

use std::fs;

/// A reading of this process' resources.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Process {
    /// CPU time used so far, in seconds.
    pub(super) cpu_seconds: f64,
    /// Memory held, in bytes.
    pub(super) resident_bytes: u64,
    /// Open file descriptors.
    pub(super) open_fds: u64,
    /// Threads.
    pub(super) threads: u64,
}

/// Linux counts CPU time in hundredths of a second on every architecture (`USER_HZ`).
const TICKS_PER_SECOND: f64 = 100.0;

pub(super) fn read() -> Option<Process> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let open_fds = fs::read_dir("/proc/self/fd").ok()?.count() as u64;
    parse(&stat, &status).map(|process| Process { open_fds, ..process })
}

#[expect(clippy::cast_precision_loss, reason = "CPU ticks stay far below 2^52")]
fn parse(stat: &str, status: &str) -> Option<Process> {
    // The second field is the command's name in parentheses and may contain anything.
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_ascii_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    let line = |name: &str| {
        let value = status.lines().find_map(|line| line.strip_prefix(name))?;
        value.split_ascii_whitespace().next()?.parse::<u64>().ok()
    };
    Some(Process {
        cpu_seconds: (user + system) as f64 / TICKS_PER_SECOND,
        resident_bytes: line("VmRSS:")? * 1024,
        open_fds: 0,
        threads: line("Threads:")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_fields_behind_a_name_with_spaces_and_parentheses() {
        let stat = "42 (a) b (c)) S 1 42 42 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 3 0 1000 0 0";
        let status = "Name:\tx\nVmRSS:\t  2048 kB\nThreads:\t3\n";
        let expected = Process { cpu_seconds: 3.0, resident_bytes: 2 << 20, open_fds: 0, threads: 3 };
        assert_eq!(parse(stat, status), Some(expected));
    }
}
