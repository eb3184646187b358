//! Holds the map of the house (the crate's documentation): an import only points down.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Attribute, ItemMod, ItemUse, Macro, MetaList, UseTree, VisRestricted};

/// Each room, and the rooms it may import.
const ROOMS: &[(&str, &[&str])] = &[
    ("onebot", &[]),
    ("telemetry", &[]),
    ("policy", &["onebot"]),
    ("net", &["onebot", "telemetry"]),
    ("journal", &["onebot", "policy", "telemetry"]),
    ("hub", &["journal", "onebot", "policy", "telemetry"]),
    ("call", &["hub", "journal", "onebot", "policy", "telemetry"]),
    ("upstream", &["hub", "journal", "net", "onebot", "policy", "telemetry"]),
    ("downstream", &["call", "hub", "journal", "net", "onebot", "policy", "telemetry"]),
    ("admin", &["call", "hub", "journal", "net", "onebot", "policy", "telemetry"]),
    (
        "config",
        &[
            "admin",
            "call",
            "downstream",
            "hub",
            "journal",
            "net",
            "onebot",
            "policy",
            "telemetry",
            "upstream",
        ],
    ),
    (
        "app",
        &[
            "admin",
            "call",
            "config",
            "downstream",
            "hub",
            "journal",
            "net",
            "onebot",
            "policy",
            "telemetry",
            "upstream",
        ],
    ),
    (
        "cli",
        &[
            "admin",
            "app",
            "call",
            "config",
            "downstream",
            "hub",
            "journal",
            "net",
            "onebot",
            "policy",
            "simulator",
            "telemetry",
            "upstream",
        ],
    ),
    ("simulator", &["net", "onebot"]),
    ("main", &["cli"]),
];
const LONGEST_FILE: usize = 600;

#[test]
fn imports_only_point_down() {
    let sources = sources();
    let mut trespasses = Vec::new();
    let mut imports = 0;
    for (path, text) in &sources {
        let module = module_of(path);
        for import in imports_of(&module.join("::"), text) {
            imports += 1;
            if !is_allowed(&module[0], &import) {
                trespasses.push(format!("{}: {} imports {}", path.display(), module[0], import.room));
            }
        }
    }
    assert!(trespasses.is_empty(), "{trespasses:#?}");
    let rooms: BTreeSet<String> = sources.keys().map(|path| module_of(path).remove(0)).collect();
    assert!(sources.len() >= ROOMS.len() && imports >= 20, "{} files, {imports} imports seen", sources.len());
    let expected: BTreeSet<String> = ROOMS.iter().map(|(room, _)| (*room).to_owned()).collect();
    assert_eq!(rooms, expected);
}

#[test]
fn a_trespass_is_seen_however_it_is_written() {
    let trespasses = [
        ("journal", "use crate::hub;"),
        ("journal", "use crate::hub::Hub as Middle;"),
        ("journal", "use crate::{onebot::Event, hub::{self, Hub}};"),
        ("journal", "use crate::{onebot, policy, hub};"),
        ("journal", "fn f() { crate::hub::attach() }"),
        ("journal", "fn f() { use crate::hub::*; }"),
        ("journal", "fn f(hub: &crate::hub::Hub) {}"),
        ("journal", "use ::onebot_gateway::hub;"),
        ("journal", "use onebot_gateway::{hub};"),
        ("journal", "use super::hub;"),
        ("journal", "mod ring { use super::super::hub; }"),
        ("journal::ring", "use super::super::hub;"),
        ("journal::ring", "fn f() { super::super::hub::attach() }"),
        ("journal", "use crate::*;"),
        ("journal", "use super::*;"),
        ("journal", "use crate::{self as house};"),
        ("journal", "fn f() { log!(\"{}\", crate::hub::NAME) }"),
        ("journal", "fn f() { assert!(hub(onebot_gateway::hub::NAME)) }"),
        ("journal", "macro_rules! m { () => { $crate::hub::attach() } }"),
        ("journal", "macro_rules! m { () => { use $crate::{hub}; } }"),
        ("journal", "#[derive(crate::hub::Make)] struct A;"),
        ("journal", "use crate::simulator;"),
        ("net", "use crate::hub;"),
        ("hub", "use crate::net;"),
        ("hub", "use crate::call;"),
        ("downstream", "use crate::upstream;"),
        ("upstream", "use crate::call;"),
        ("upstream", "use crate::config::Config;"),
        ("policy", "use crate::telemetry;"),
        ("simulator", "use crate::hub;"),
        ("app", "use crate::cli;"),
        ("main", "use onebot_gateway::app;"),
        ("journal", "#[cfg(test)] mod tests { use crate::hub; }"),
        ("journal", "#[cfg(not(test))] mod tests { use crate::simulator; }"),
    ];
    for (module, text) in trespasses {
        let seen = imports_of(module, text);
        assert!(seen.iter().any(|import| !is_allowed(room(module), import)), "{module}: {text}\n{seen:?}");
    }
}

#[test]
fn what_is_allowed_is_let_through() {
    let allowed = [
        ("journal", "use crate::{onebot::Event, policy::{self, Secret}}; use crate::journal::Seq;"),
        ("journal::ring", "use super::hub; use self::hub::x;"),
        ("journal::ring", "pub(crate) struct A; impl A { pub(super) fn f(&self) { assert!(self.x) } }"),
        ("journal", "mod ring { use super::Seq; }"),
        ("journal", "#[cfg(test)] mod tests { use super::*; use crate::simulator::Simulator; }"),
        ("journal", "/// Like [`crate::hub`].\nfn f() { let crate_hub = \"crate::hub\"; }"),
        ("downstream", "use crate::{call, hub, journal, net, onebot, policy, telemetry};"),
        ("config", "use crate::{admin, downstream, upstream}; fn f() { config::Config::builder() }"),
        ("main", "fn main() { onebot_gateway::cli::main() }"),
    ];
    for (module, text) in allowed {
        let seen = imports_of(module, text);
        assert!(seen.iter().all(|import| is_allowed(room(module), import)), "{module}: {text}\n{seen:?}");
    }
}

#[test]
fn no_file_is_long() {
    let long: Vec<String> = sources()
        .iter()
        .map(|(path, text)| (path, text.lines().count()))
        .filter(|(_, lines)| *lines > LONGEST_FILE)
        .map(|(path, lines)| format!("{}: {lines} lines", path.display()))
        .collect();
    assert!(long.is_empty(), "{long:#?}");
}

#[test]
fn the_map_of_the_house_names_every_room() {
    let text = fs::read_to_string(root().join("lib.rs")).unwrap();
    let table: String = text.lines().filter(|line| line.starts_with("//! |")).collect();
    for (room, _) in ROOMS.iter().filter(|(room, _)| *room != "main") {
        assert!(table.contains(&format!("[`{room}`]")), "the table in src/lib.rs does not name {room}");
        assert!(text.contains(&format!("pub mod {room};")), "src/lib.rs does not declare {room}");
    }
    assert_eq!(text.matches("\npub mod ").count(), ROOMS.len() - 1);
}

fn is_allowed(room: &str, import: &Import) -> bool {
    let (_, allowed) = ROOMS.iter().find(|(name, _)| *name == room).unwrap();
    import.room == room
        || allowed.contains(&import.room.as_str())
        || (import.in_tests && import.room == "simulator")
}

fn room(module: &str) -> &str {
    module.split("::").next().unwrap()
}

/// The sources of the rooms by their path beneath `src`.
fn sources() -> BTreeMap<PathBuf, String> {
    let mut sources = BTreeMap::new();
    let mut directories = vec![root()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                sources.insert(path.strip_prefix(root()).unwrap().to_owned(), text);
            }
        }
    }
    sources.remove(Path::new("lib.rs")).unwrap();
    sources
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// `journal`, `ring` for `journal/ring.rs`; `journal` for `journal/mod.rs`; `main` for `main.rs`.
fn module_of(path: &Path) -> Vec<String> {
    let stem = path.with_extension("");
    let names = stem.iter().map(|name| name.to_str().unwrap().to_owned());
    names.filter(|name| name != "mod").collect()
}

/// A room that is named in a path; `*` for all of them.
#[derive(Debug)]
struct Import {
    room: String,
    in_tests: bool,
}

/// The rooms that `text` names, the source of `module`.
fn imports_of(module: &str, text: &str) -> Vec<Import> {
    let module: Vec<String> = module.split("::").map(str::to_owned).collect();
    let in_tests = module.last().unwrap() == "tests";
    let mut reader = Reader { module, in_tests, imports: Vec::new() };
    reader.visit_file(&syn::parse_file(text).unwrap());
    reader.imports
}

struct Reader {
    /// Where we are, from the crate's root.
    module: Vec<String>,
    in_tests: bool,
    imports: Vec<Import>,
}

impl Reader {
    /// Notes the room if `path` begins at a module of this crate.
    fn path(&mut self, path: &[String]) {
        let mut absolute = match path.first().map(String::as_str) {
            Some("crate" | "onebot_gateway") => Vec::new(),
            Some("self" | "super") => self.module.clone(),
            _ => return,
        };
        let rest =
            path.iter().skip_while(|name| ["crate", "onebot_gateway", "self"].contains(&name.as_str()));
        for name in rest {
            match name.as_str() {
                "super" => drop(absolute.pop()),
                "self" => {}
                name => absolute.push(name.to_owned()),
            }
        }
        let room = absolute.into_iter().next().unwrap_or_else(|| "*".to_owned());
        self.imports.push(Import { room, in_tests: self.in_tests });
    }

    fn tree(&mut self, above: &[String], tree: &UseTree) {
        let with = |name: &syn::Ident| [above, &[name.to_string()]].concat();
        match tree {
            UseTree::Path(path) => self.tree(&with(&path.ident), &path.tree),
            UseTree::Name(name) => self.path(&with(&name.ident)),
            UseTree::Rename(rename) => self.path(&with(&rename.ident)),
            UseTree::Glob(_) => self.path(above),
            UseTree::Group(group) => group.items.iter().for_each(|tree| self.tree(above, tree)),
        }
    }

    /// Paths in what only a macro can parse.
    fn tokens(&mut self, tokens: TokenStream) {
        let mut path: Vec<String> = Vec::new();
        let mut colons = 0;
        for token in tokens {
            match &token {
                TokenTree::Punct(punct) if punct.as_char() == ':' => {
                    colons += 1;
                    continue;
                }
                TokenTree::Ident(name) if colons == 2 => path.push(name.to_string()),
                // A lone `self` or `crate` is a receiver or a visibility, `crate::{…}` and `crate::*` are not.
                other => {
                    if path.len() > 1 || colons == 2 {
                        self.path(&path);
                    }
                    path.clear();
                    match other {
                        TokenTree::Ident(name) => path.push(name.to_string()),
                        TokenTree::Group(group) => self.tokens(group.stream()),
                        TokenTree::Punct(_) | TokenTree::Literal(_) => {}
                    }
                }
            }
            colons = 0;
        }
        if path.len() > 1 {
            self.path(&path);
        }
    }
}

impl<'ast> Visit<'ast> for Reader {
    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        let outside = self.in_tests;
        self.in_tests |= item.attrs.iter().any(is_cfg_test);
        self.module.push(item.ident.to_string());
        visit::visit_item_mod(self, item);
        self.module.pop();
        self.in_tests = outside;
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        self.tree(&[], &item.tree);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let names: Vec<String> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        self.path(&names);
        visit::visit_path(self, path);
    }

    /// Not an import: it says who may import.
    fn visit_vis_restricted(&mut self, _: &'ast VisRestricted) {}

    fn visit_macro(&mut self, mac: &'ast Macro) {
        self.visit_path(&mac.path);
        self.tokens(mac.tokens.clone());
    }

    fn visit_meta_list(&mut self, list: &'ast MetaList) {
        self.tokens(list.tokens.clone());
    }
}

fn is_cfg_test(attribute: &Attribute) -> bool {
    attribute.path().is_ident("cfg") && attribute.parse_args::<syn::Ident>().is_ok_and(|name| name == "test")
}
