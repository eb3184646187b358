//! Lists of actions as rules name them: names, patterns and sets.

use std::fmt;

use super::spelling::closest;
use crate::onebot::ActionName;
use crate::onebot::catalogue::{self, Access, Action, Category, Risk, Target};

/// A compiled list of actions: exact names (`send_group_msg`), patterns (`get_group_*`, `?` for one
/// character, `*` alone for all) and sets (`@send`, see [`SETS`]).
///
/// What is dangerous ([`Risk::Danger`]) has to be named: by its exact name, or by `@danger` or
/// `@credentials`. No pattern and no other set does that, however much it [matches](Self::matches).
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ActionPatterns {
    written: Vec<String>,
    matched: Rows,
    named: Rows,
    exact: Rows,
    /// Matched by something else than `*`.
    chosen: Rows,
    /// For the names that the catalogue does not know; those it knows are decided when this is made.
    globs: Vec<String>,
}

/// Actions by their place in the catalogue.
type Rows = [u64; 4];

/// A named set of actions, derived from the catalogue.
#[derive(Debug, Clone, Copy)]
pub struct ActionSet {
    /// As it stands in a rule.
    pub name: &'static str,
    /// What is in it.
    pub about: &'static str,
    /// Whether naming the set names the dangerous actions in it.
    names_danger: bool,
    has: fn(&Action) -> bool,
}

impl ActionSet {
    /// Whether the set has `action`.
    #[must_use]
    pub fn has(&self, action: &Action) -> bool {
        (self.has)(action)
    }

    const fn new(name: &'static str, about: &'static str, has: fn(&Action) -> bool) -> Self {
        Self { name, about, names_danger: false, has }
    }

    const fn naming_danger(self) -> Self {
        Self { names_danger: true, ..self }
    }
}

/// Every set there is.
pub static SETS: [ActionSet; 17] = [
    ActionSet::new("@read", "what only tells and changes nothing", |action| action.access == Access::Read),
    ActionSet::new("@write", "what changes something", |action| action.access == Access::Write),
    ActionSet::new("@send", "what puts a message or a file into a chat", |action| action.sends),
    ActionSet::new("@admin", "what changes groups, friends or the account for everybody", |action| {
        action.risk == Risk::Admin
    }),
    ActionSet::new(
        "@group_admin",
        "what only those who run a group do: kick, ban, rename, notices",
        |action| action.risk == Risk::Admin && is_about_group(action),
    ),
    ActionSet::new("@message", "messages: send, recall, read, forward, react", |action| {
        action.category == Category::Message
    }),
    ActionSet::new("@group", "groups and their members, notices and albums", is_about_group),
    ActionSet::new("@member", "what is done to one member of a group: ban, kick, card, title", |action| {
        action.target == Target::Member
    }),
    ActionSet::new("@friend", "friends and strangers: lists, profiles, likes, pokes, requests", |action| {
        action.category == Category::User && !changes_the_account(action)
    }),
    ActionSet::new("@request", "decisions on requests to join a group or to be friends", |action| {
        action.target == Target::Request
    }),
    ActionSet::new("@file", "files of any kind", |action| action.category == Category::File),
    ActionSet::new("@account", "the account itself: login, status, profile, avatar, Qzone", |action| {
        changes_the_account(action) || (action.category == Category::System && action.access == Access::Read)
    }),
    ActionSet::new("@system", "the implementation and the login", |action| {
        action.category == Category::System
    }),
    ActionSet::new("@guild", "QQ channels", |action| action.category == Category::Guild),
    ActionSet::new("@llonebot", "what LLOneBot itself has", |action| action.in_llonebot),
    ActionSet::new("@credentials", "what hands out cookies, keys or configuration; dangerous", |action| {
        action.risk == Risk::Danger && action.access == Access::Read && action.target == Target::Account
    })
    .naming_danger(),
    ActionSet::new("@danger", "all that hands over the account or the host of LLOneBot", |action| {
        action.risk == Risk::Danger
    })
    .naming_danger(),
];

fn is_about_group(action: &Action) -> bool {
    action.category == Category::Group || matches!(action.target, Target::Group | Target::Member)
}

fn changes_the_account(action: &Action) -> bool {
    action.category == Category::User && action.access == Access::Write && action.target == Target::Account
}

impl ActionPatterns {
    /// Every action; what is dangerous is matched, but not named.
    #[must_use]
    pub fn all() -> Self {
        Self::parse(&["*".to_owned()]).unwrap_or_default()
    }

    /// Compiles the list.
    ///
    /// # Errors
    /// Each item that means no action, with what was probably meant.
    pub fn parse(written: &[String]) -> Result<Self, Vec<String>> {
        let mut patterns = Self { written: written.to_vec(), ..Self::default() };
        let problems: Vec<String> = written.iter().filter_map(|item| patterns.add(item).err()).collect();
        if problems.is_empty() { Ok(patterns) } else { Err(problems) }
    }

    /// Whether the list has this action, whatever suffix the name wears.
    #[must_use]
    pub fn matches(&self, action: &ActionName) -> bool {
        match action.entry().and_then(catalogue::row) {
            Some(row) => has(&self.matched, row),
            None => self.globs.iter().any(|glob| glob_matches(glob, action.base())),
        }
    }

    /// Whether the list names this action plainly enough for one that is dangerous: by its exact name, or
    /// by `@danger` or `@credentials`.
    #[must_use]
    pub fn names(&self, action: &ActionName) -> bool {
        action.entry().and_then(catalogue::row).is_some_and(|row| has(&self.named, row))
    }

    /// Whether the exact name of this action is on the list.
    #[must_use]
    pub fn names_exactly(&self, action: &ActionName) -> bool {
        action.entry().and_then(catalogue::row).is_some_and(|row| has(&self.exact, row))
    }

    /// Whether something on the list means this action that is not `*`, which means any.
    #[must_use]
    pub fn chooses(&self, action: &ActionName) -> bool {
        match action.entry().and_then(catalogue::row) {
            Some(row) => has(&self.chosen, row),
            None => self.globs.iter().any(|glob| glob != "*" && glob_matches(glob, action.base())),
        }
    }

    /// Whether `*` is on the list: it is no list of what a bot needs.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.globs.iter().any(|glob| glob == "*")
    }

    /// Whether there is nothing on it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.written.is_empty()
    }

    /// The list as it was written.
    #[must_use]
    pub fn written(&self) -> &[String] {
        &self.written
    }

    fn add(&mut self, item: &str) -> Result<(), String> {
        if item.starts_with('@') {
            self.add_set(item)
        } else if item.contains(['*', '?']) {
            self.add_glob(item)
        } else {
            self.add_name(item)
        }
    }

    fn add_set(&mut self, item: &str) -> Result<(), String> {
        let set = set_named(item)?;
        for (row, _) in catalogue::all().iter().enumerate().filter(|(_, action)| set.has(action)) {
            put(&mut self.matched, row);
            put(&mut self.chosen, row);
            if set.names_danger {
                put(&mut self.named, row);
            }
        }
        Ok(())
    }

    fn add_glob(&mut self, item: &str) -> Result<(), String> {
        let mut found = false;
        for (row, action) in catalogue::all().iter().enumerate() {
            if glob_matches(item, action.name) {
                put(&mut self.matched, row);
                if item != "*" {
                    put(&mut self.chosen, row);
                }
                found = true;
            }
        }
        if !found {
            return Err(format!(
                "no action is like {item:?}; `onebot-gateway actions` lists them, without _async and _rate_limited"
            ));
        }
        self.globs.push(item.to_owned());
        Ok(())
    }

    fn add_name(&mut self, item: &str) -> Result<(), String> {
        if let Some(row) = catalogue::row(action_named(item)?) {
            for rows in [&mut self.matched, &mut self.named, &mut self.exact, &mut self.chosen] {
                put(rows, row);
            }
        }
        Ok(())
    }
}

/// The set of this name.
///
/// # Errors
/// That there is none, with what was probably meant.
pub fn set_named(name: &str) -> Result<&'static ActionSet, String> {
    SETS.iter().find(|set| set.name == name).ok_or_else(|| {
        let names = SETS.each_ref().map(|set| set.name);
        let hint = closest(name, &names).map_or_else(
            || format!("the sets are {}", names.join(" ")),
            |meant| format!("did you mean {meant:?}?"),
        );
        format!("there is no set {name:?}; {hint}")
    })
}

/// The action of this exact name.
///
/// # Errors
/// That there is none, with what was probably meant.
pub fn action_named(name: &str) -> Result<&'static Action, String> {
    let action = ActionName::new(name);
    let Some(entry) = action.entry() else {
        let names: Vec<&str> = catalogue::all().iter().map(|action| action.name).collect();
        let hint = closest(name, &names).map_or_else(
            || "expected a name such as `send_group_msg`".to_owned(),
            |meant| format!("did you mean `{meant}`?"),
        );
        return Err(format!("no OneBot implementation has an action {name:?}; {hint}"));
    };
    if action.suffix().is_empty() {
        Ok(entry)
    } else {
        Err(format!("names a form of an action; write `{}`", action.base()))
    }
}

impl fmt::Debug for ActionPatterns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.written).finish()
    }
}

fn has(rows: &Rows, row: usize) -> bool {
    rows.get(row / 64).is_some_and(|word| word >> (row % 64) & 1 == 1)
}

fn put(rows: &mut Rows, row: usize) {
    if let Some(word) = rows.get_mut(row / 64) {
        *word |= 1 << (row % 64);
    }
}

/// Whether `name` is like `glob`. The time is at most the product of the lengths.
fn glob_matches(glob: &str, name: &str) -> bool {
    let (glob, name): (Vec<char>, Vec<char>) = (glob.chars().collect(), name.chars().collect());
    let (mut at, mut pos) = (0, 0);
    // Where to go on if what follows the last star does not fit: one character more is its.
    let mut star = None;
    while let Some(&here) = name.get(pos) {
        match glob.get(at) {
            Some('*') => {
                at += 1;
                star = Some((at, pos));
            }
            Some(&wanted) if wanted == '?' || wanted == here => {
                at += 1;
                pos += 1;
            }
            _ => {
                let Some((after, taken)) = star else { return false };
                star = Some((after, taken + 1));
                (at, pos) = (after, taken + 1);
            }
        }
    }
    glob.iter().skip(at).all(|&rest| rest == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patterns(items: &[&str]) -> ActionPatterns {
        ActionPatterns::parse(&items.iter().map(ToString::to_string).collect::<Vec<_>>()).unwrap()
    }

    fn problem(item: &str) -> String {
        ActionPatterns::parse(&[item.to_owned()]).unwrap_err().join("\n")
    }

    fn of_set(name: &str) -> Vec<&'static str> {
        let set = SETS.iter().find(|set| set.name == name).unwrap();
        catalogue::all().iter().filter(|action| set.has(action)).map(|action| action.name).collect()
    }

    #[test]
    fn names_patterns_and_sets_are_matched_whatever_suffix_is_worn() {
        let list = patterns(&["get_msg", "get_group_*", "@send", "set_group_b?n"]);
        for name in ["get_msg", "get_group_info", "send_msg", "get_msg_async", "send_msg_rate_limited_async"]
        {
            assert!(list.matches(&ActionName::new(name)), "{name}");
        }
        assert!(list.matches(&ActionName::new("set_group_ban")));
        for name in ["get_ms", "get_friend_list", "set_group_card", "set_group_whole_ban"] {
            assert!(!list.matches(&ActionName::new(name)), "{name}");
        }
    }

    #[test]
    fn what_the_catalogue_does_not_know_is_matched_by_patterns_only() {
        let (all, some) = (patterns(&["*"]), patterns(&["get_group_*", "@read", "@write"]));
        let (tomorrow, group) =
            (ActionName::new("an_action_of_tomorrow"), ActionName::new("get_group_x_async"));
        assert!(all.matches(&tomorrow) && all.matches(&group) && all.is_open());
        assert!(!some.matches(&tomorrow) && some.matches(&group) && !some.is_open());
        assert!(!all.names(&tomorrow));
    }

    #[test]
    fn danger_is_named_by_its_name_or_by_the_sets_that_say_so() {
        let cookies = ActionName::new("get_cookies_async");
        for list in [&["get_cookies"][..], &["@danger"], &["@credentials"]] {
            assert!(patterns(list).matches(&cookies) && patterns(list).names(&cookies), "{list:?}");
        }
        for list in [&["*"][..], &["get_*"], &["@read"], &["@system"], &["@account"], &["get_cookie?"]] {
            assert!(patterns(list).matches(&cookies) && !patterns(list).names(&cookies), "{list:?}");
        }
        assert!(patterns(&["get_cookies"]).names_exactly(&cookies));
        assert!(!patterns(&["@danger"]).names_exactly(&cookies));
    }

    #[test]
    fn what_means_no_action_is_refused_with_what_was_meant() {
        assert_eq!(problem("@sends"), r#"there is no set "@sends"; did you mean "@send"?"#);
        assert!(problem("@everything").contains("the sets are @read @write @send"));
        assert!(problem("get_zebra_*").starts_with(r#"no action is like "get_zebra_*""#));
        assert!(problem("send_grop_msg").contains("did you mean `send_group_msg`?"));
        assert!(problem("").contains("expected a name"));
        assert_eq!(problem("get_msg_async"), "names a form of an action; write `get_msg`");
        let all = ["a_b_c_d".to_owned(), "get_msg".to_owned(), "@x".to_owned()];
        assert_eq!(ActionPatterns::parse(&all).unwrap_err().len(), 2);
    }

    #[test]
    fn every_set_has_something_and_reads_and_writes_are_everything() {
        for set in &SETS {
            assert!(!of_set(set.name).is_empty(), "{}", set.name);
        }
        assert_eq!(of_set("@read").len() + of_set("@write").len(), catalogue::all().len());
        assert_eq!(
            of_set("@credentials"),
            [
                "get_clientkey",
                "get_config",
                "get_cookies",
                "get_credentials",
                "get_csrf_token",
                "get_rkey",
                "get_rkey_server",
                "nc_get_rkey"
            ]
        );
        for name in ["set_group_kick", "set_group_add_request", "delete_group_file", "set_essence_msg"] {
            assert!(of_set("@group_admin").contains(&name), "{name}");
        }
        for name in ["send_group_msg", "set_qq_avatar", "delete_friend"] {
            assert!(!of_set("@group_admin").contains(&name), "{name}");
        }
        assert!(
            of_set("@friend").contains(&"get_friend_list") && of_set("@account").contains(&"set_qq_avatar")
        );
        assert!(!of_set("@account").contains(&"get_friend_list"));
    }

    #[test]
    fn a_pattern_of_stars_is_matched_in_time() {
        let glob = "*a".repeat(200) + "b";
        assert!(!glob_matches(&glob, &"a".repeat(2000)));
        assert!(glob_matches("**a*", "ba") && glob_matches("*", "") && !glob_matches("?", ""));
    }
}
