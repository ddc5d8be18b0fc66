//! The graph of the source files: which file refers to an item of which other file, and to which
//! external crates.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    path::Path,
};

use super::source::{Definition, Module, ModuleId, Place, Segments, parse_crate};

/// How deep imports of imports are followed.
const MAX_DEPTH: usize = 32;

/// What a path means.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Target {
    Module(ModuleId),
    /// An item that this module defines.
    Item(ModuleId),
    /// A path into a crate outside of the workspace.
    External(Segments),
}

/// The source files of several crates.
#[derive(Debug, Default)]
pub(crate) struct Graph {
    modules: Vec<Module>,
    /// The root modules of the libraries, by crate name.
    libraries: BTreeMap<String, ModuleId>,
    /// Each file with the files whose items it uses, and one path that does so.
    imports: BTreeMap<String, BTreeMap<String, String>>,
    /// Each file with the paths that it uses of external crates.
    externals: BTreeMap<String, BTreeSet<String>>,
    /// Each file with the workspace crates that it names.
    crates: BTreeMap<String, BTreeSet<String>>,
}

impl Graph {
    /// The graph of these crates, each with its folder.
    pub(crate) fn new(project: &Path, crates: &[(&str, String)]) -> Self {
        let mut graph = Self::default();
        for (name, folder) in crates {
            for file in ["lib.rs", "main.rs"] {
                let root_file = format!("{folder}/src/{file}");
                if !project.join(&root_file).exists() {
                    continue;
                }
                let root = parse_crate(project, &root_file, &mut graph.modules);
                if file == "lib.rs" {
                    graph.libraries.insert((*name).to_owned(), root);
                }
            }
        }
        graph.connect();
        graph
    }

    /// Every file, sorted.
    pub(crate) fn files(&self) -> impl Iterator<Item = &str> {
        self.imports.keys().map(String::as_str)
    }

    /// The paths that a file uses of external crates: `aws_sdk_dynamodb::Client`.
    pub(crate) fn externals(&self, file: &str) -> impl Iterator<Item = &str> {
        self.externals.get(file).into_iter().flatten().map(String::as_str)
    }

    /// The workspace crates that a file names.
    pub(crate) fn crates(&self, file: &str) -> impl Iterator<Item = &str> {
        self.crates.get(file).into_iter().flatten().map(String::as_str)
    }

    /// The files whose items a file uses.
    pub(crate) fn imports(&self, file: &str) -> impl Iterator<Item = &str> {
        self.imports.get(file).into_iter().flatten().map(|(to, _)| to.as_str())
    }

    /// The shortest way from `start` over files for which `is_open` to a file for which `is_end`.
    pub(crate) fn way<'a>(
        &'a self,
        start: &'a str,
        is_open: impl Fn(&str) -> bool,
        is_end: impl Fn(&str) -> bool,
    ) -> Option<Vec<&'a str>> {
        let mut before: BTreeMap<&str, &str> = BTreeMap::new();
        let mut queue = VecDeque::from([start]);
        while let Some(file) = queue.pop_front() {
            if is_end(file) {
                let mut way = vec![file];
                while way[way.len() - 1] != start {
                    way.push(before[way[way.len() - 1]]);
                }
                way.reverse();
                return Some(way);
            }
            for next in self.imports(file) {
                let is_new = next != start && !before.contains_key(next);
                if is_new && (is_open(next) || is_end(next)) {
                    before.insert(next, file);
                    queue.push_back(next);
                }
            }
        }
        None
    }

    /// A way as text, with the path that each file uses of the next.
    pub(crate) fn show(&self, way: &[&str]) -> String {
        let mut text = way[0].to_owned();
        for pair in way.windows(2) {
            text += &format!("\n    -> {} ({})", pair[1], self.imports[pair[0]][pair[1]]);
        }
        text
    }

    /// The import circles: for every import in a circle the shortest one that contains it, each
    /// once. A circle begins and ends with the same file.
    pub(crate) fn circles(&self) -> Vec<Vec<&str>> {
        let mut circles = BTreeMap::new();
        for (from, imports) in &self.imports {
            for to in imports.keys() {
                let Some(back) = self.way(to, |_| true, |file| file == from) else { continue };
                let members: BTreeSet<&str> = back.iter().copied().collect();
                let mut circle = vec![from.as_str()];
                circle.extend(back);
                circles.entry((members.len(), members)).or_insert(circle);
            }
        }
        circles.into_values().collect()
    }

    fn connect(&mut self) {
        for module in &self.modules {
            self.imports.entry(module.file.clone()).or_default();
        }
        for id in 0..self.modules.len() {
            let file = self.modules[id].file.clone();
            for (path, place) in &self.modules[id].references {
                let shown = path.join("::");
                let mut used = Vec::new();
                for target in self.resolve(id, path, 0) {
                    match target {
                        Target::External(path) => {
                            let externals = self.externals.entry(file.clone()).or_default();
                            externals.insert(path.join("::"));
                        }
                        Target::Item(of) => used.push(of),
                        // Code that names a module only names it on the way to an item.
                        Target::Module(of) if *place != Place::Code && self.has_code(of) => {
                            used.push(of);
                        }
                        Target::Module(_) => {}
                    }
                }
                // A single name in code is a local variable.
                let is_crate = path.len() > 1 || *place != Place::Code;
                if is_crate
                    && self.libraries.contains_key(&path[0])
                    && self.lookup(id, &path[0], 0).is_empty()
                {
                    self.crates.entry(file.clone()).or_default().insert(path[0].clone());
                }
                for of in used {
                    let is_reexport = *place == Place::Import { is_public: true };
                    let to = self.modules[of].file.clone();
                    if to != file && !(is_reexport && self.is_below(of, id)) {
                        let imports = self.imports.entry(file.clone()).or_default();
                        imports.entry(to).or_insert_with(|| shown.clone());
                    }
                }
            }
        }
    }

    /// Whether the file of a module has more than modules and imports.
    fn has_code(&self, id: ModuleId) -> bool {
        let file = &self.modules[id].file;
        self.modules.iter().any(|module| module.file == *file && module.has_code)
    }

    fn is_below(&self, id: ModuleId, ancestor: ModuleId) -> bool {
        let parent = self.modules[id].parent;
        parent.is_some_and(|parent| parent == ancestor || self.is_below(parent, ancestor))
    }

    fn root(&self, id: ModuleId) -> ModuleId {
        self.modules[id].parent.map_or(id, |parent| self.root(parent))
    }

    /// What a path in a module means.
    fn resolve(&self, id: ModuleId, path: &[String], depth: usize) -> Vec<Target> {
        let [first, rest @ ..] = path else { return Vec::new() };
        match first.as_str() {
            "crate" => self.walk(self.root(id), rest, depth),
            "self" if rest.is_empty() => Vec::new(),
            "self" => self.walk(id, rest, depth),
            "super" => {
                let mut parent = self.modules[id].parent.unwrap_or(id);
                let mut rest = rest;
                while let [next, after @ ..] = rest
                    && next == "super"
                {
                    parent = self.modules[parent].parent.unwrap_or(parent);
                    rest = after;
                }
                self.walk(parent, rest, depth)
            }
            "Self" => Vec::new(),
            _ => {
                let found = self.lookup(id, first, depth);
                if !found.is_empty() {
                    return self.follow(found, rest, depth);
                }
                self.in_crate(path, depth)
            }
        }
    }

    /// What a path means that starts with the name of a crate.
    fn in_crate(&self, path: &[String], depth: usize) -> Vec<Target> {
        match self.libraries.get(&path[0]) {
            Some(root) => self.walk(*root, &path[1..], depth),
            None => vec![Target::External(path.to_vec())],
        }
    }

    /// What a path means that starts in this module.
    fn walk(&self, id: ModuleId, path: &[String], depth: usize) -> Vec<Target> {
        let [first, rest @ ..] = path else { return vec![Target::Module(id)] };
        let found = self.lookup(id, first, depth);
        if found.is_empty() {
            // A macro has defined it.
            return vec![Target::Item(id)];
        }
        self.follow(found, rest, depth)
    }

    fn follow(&self, found: Vec<Target>, rest: &[String], depth: usize) -> Vec<Target> {
        if rest.is_empty() {
            return found;
        }
        let has_module = found.iter().any(|target| matches!(target, Target::Module(_)));
        let next = found.into_iter().flat_map(|target| match target {
            Target::Module(id) => self.walk(id, rest, depth),
            // A variant or an associated item; a module of the same name goes first.
            Target::Item(_) if has_module => Vec::new(),
            Target::Item(id) => vec![Target::Item(id)],
            Target::External(path) => vec![Target::External([path, rest.to_vec()].concat())],
        });
        next.collect()
    }

    /// What a name in a module means, imports included.
    fn lookup(&self, id: ModuleId, name: &str, depth: usize) -> Vec<Target> {
        if depth > MAX_DEPTH {
            return Vec::new();
        }
        let module = &self.modules[id];
        if let Some(definitions) = module.names.get(name) {
            let targets = definitions.iter().flat_map(|definition| match definition {
                Definition::Module(child) => vec![Target::Module(*child)],
                Definition::Item => vec![Target::Item(id)],
                // `use zxcvbn::zxcvbn;` names the crate first.
                Definition::Import(path) if path[0] == name => self.in_crate(path, depth),
                Definition::Import(path) => self.resolve(id, path, depth + 1),
            });
            return targets.collect();
        }
        let globs = module.globs.iter().flat_map(|path| self.resolve(id, path, depth + 1));
        let globs: Vec<ModuleId> = globs
            .filter_map(|target| match target {
                Target::Module(of) if of != id => Some(of),
                _ => None,
            })
            .collect();
        let found: Vec<_> = globs.iter().flat_map(|of| self.lookup(*of, name, depth + 1)).collect();
        if !found.is_empty() {
            return found;
        }
        let by_macro = globs
            .into_iter()
            .filter(|of| self.modules[*of].macro_idents.iter().any(|ident| ident == name));
        by_macro.map(Target::Item).collect()
    }
}
