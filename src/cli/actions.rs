//! `onebot-gateway actions`: what can be named in a rule?

use std::io::{self, Write};
use std::process::ExitCode;

use crate::onebot::catalogue::{self, Action, Risk, Target};
use crate::policy::actions::{ActionSet, SETS, set_named};

const FAILED: u8 = 1;
const BAD_USAGE: u8 = 64;

/// Lists the actions that the gateway knows, whom each one names, and the sets that rules can name.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only the actions of this set, such as @send
    #[arg(long, value_name = "SET")]
    pub set: Option<String>,
}

/// Exit code 0 and the list on stdout, or 64 if there is no such set; 1 if it could not be written.
#[must_use]
pub fn run(args: &Args) -> ExitCode {
    let mut out = io::stdout().lock();
    let written = match args.set.as_deref().map(set_named).transpose() {
        Ok(Some(set)) => list(|action| set.has(action), &mut out),
        Ok(None) => sets(&mut out).and_then(|()| list(|_| true, &mut out)),
        Err(problem) => {
            // Nothing can be done about a terminal that is gone.
            let _ = writeln!(io::stderr().lock(), "--set: {problem}");
            return ExitCode::from(BAD_USAGE);
        }
    };
    match written {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever reads us has seen enough: `actions | head`.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(_) => ExitCode::from(FAILED),
    }
}

fn sets(out: &mut impl Write) -> io::Result<()> {
    for ActionSet { name, about, .. } in &SETS {
        writeln!(out, "{name:<14}{about}")?;
    }
    writeln!(out)
}

/// One line for each action. The title comes last: no column can be aligned behind Chinese.
fn list(wanted: impl Fn(&Action) -> bool, out: &mut impl Write) -> io::Result<()> {
    const HEADER: [&str; 5] = ["ACTION", "NAMES", "LLONEBOT", "SETS", "TITLE"];
    let rows = catalogue::all().iter().filter(|action| wanted(action)).map(|action| {
        let in_llonebot = if action.in_llonebot { "yes" } else { "no" };
        let sets: Vec<&str> =
            SETS.iter().filter(|set| set.has(action)).map(|set| set.name.trim_start_matches('@')).collect();
        let danger = if action.risk == Risk::Danger { " (must be named)" } else { "" };
        let title = format!("{}{danger}", action.title);
        [
            action.name.to_owned(),
            named(action.target).to_owned(),
            in_llonebot.to_owned(),
            sets.join(","),
            title,
        ]
    });
    let rows: Vec<[String; 5]> = [HEADER.map(str::to_owned)].into_iter().chain(rows).collect();
    let width =
        |column: fn(&[String; 5]) -> &String| rows.iter().map(|row| column(row).len()).max().unwrap_or(0);
    let (name, sets) = (width(|[name, ..]| name), width(|[_, _, _, sets, _]| sets));
    for [action, names, in_llonebot, in_sets, title] in &rows {
        writeln!(out, "{action:<name$}  {names:<8}  {in_llonebot:<8}  {in_sets:<sets$}  {title}")?;
    }
    out.flush()
}

/// Whom a call names, in a word.
const fn named(target: Target) -> &'static str {
    match target {
        Target::Account => "-",
        Target::Group => "group",
        Target::User => "user",
        Target::Member => "member",
        Target::Chat => "chat",
        Target::Message => "message",
        Target::Forward => "forward",
        Target::Request => "request",
        Target::Context => "context",
        Target::Other => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(wanted: impl Fn(&Action) -> bool) -> Vec<String> {
        let mut out = Vec::new();
        list(wanted, &mut out).unwrap();
        String::from_utf8(out).unwrap().lines().map(str::to_owned).collect()
    }

    #[test]
    fn every_action_has_a_line_and_its_columns_are_aligned() {
        let lines = listed(|_| true);
        assert_eq!(lines.len(), catalogue::all().len() + 1);
        let at = lines[0].find("TITLE").unwrap();
        for (line, action) in lines.iter().skip(1).zip(catalogue::all()) {
            assert!(line.starts_with(action.name), "{line}");
            assert!(line.split_at(at).1.starts_with(action.title), "{line}");
        }
    }

    #[test]
    fn a_line_says_whom_the_action_names_and_what_sets_it_is_in() {
        let lines = listed(|action| action.name == "set_group_ban");
        let words: Vec<&str> = lines[1].split_whitespace().collect();
        assert_eq!(
            words,
            ["set_group_ban", "member", "yes", "write,admin,group_admin,group,member,llonebot", "群禁言"]
        );
        assert!(listed(|action| action.name == "get_cookies")[1].ends_with("(must be named)"));
    }

    #[test]
    fn every_set_is_explained() {
        let mut out = Vec::new();
        sets(&mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(text.starts_with("@read         what only tells"), "{text}");
        assert_eq!(text.lines().count(), SETS.len() + 1);
    }
}
