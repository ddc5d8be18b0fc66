//! Parses the source files of a crate into modules: which names each defines or imports, and which
//! paths it refers to.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use proc_macro2::{Spacing, TokenStream, TokenTree};
use syn::{
    Attribute, ImplItem, Item, ItemMod, ItemUse, Macro, Meta, UseTree, Visibility,
    punctuated::Punctuated,
    visit::{self, Visit},
};

/// The segments of a path: `["crate", "kyc", "Submission"]`.
pub(crate) type Segments = Vec<String>;

/// The index of a module in the list of all modules.
pub(crate) type ModuleId = usize;

/// What a name in a module is.
#[derive(Debug)]
pub(crate) enum Definition {
    /// A child module.
    Module(ModuleId),
    /// A function, type, constant, trait or macro of this module.
    Item,
    /// An import of this path.
    Import(Segments),
}

/// Where a path is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// In a `use`.
    Import { is_public: bool },
    /// In code.
    Code,
}

/// A module of a crate.
#[derive(Debug)]
pub(crate) struct Module {
    /// The file, relative to the root of the project.
    pub(crate) file: String,
    pub(crate) parent: Option<ModuleId>,
    pub(crate) names: BTreeMap<String, Vec<Definition>>,
    /// The paths before `::*`.
    pub(crate) globs: Vec<Segments>,
    pub(crate) references: Vec<(Segments, Place)>,
    /// The identifiers in macro calls that may define items.
    pub(crate) macro_idents: Vec<String>,
    /// Whether it has anything but modules and imports.
    pub(crate) has_code: bool,
}

/// Parses the crate whose root is this file and adds its modules to `all`. Returns the root module.
pub(crate) fn parse_crate(project: &Path, root_file: &str, all: &mut Vec<Module>) -> ModuleId {
    let root = add_module(all, root_file, None);
    let path = project.join(root_file);
    let children = path.parent().expect("a folder").to_owned();
    Scanner { project, all, module: root, children }.file(&path);
    root
}

fn add_module(all: &mut Vec<Module>, file: &str, parent: Option<ModuleId>) -> ModuleId {
    all.push(Module {
        file: file.to_owned(),
        parent,
        names: BTreeMap::new(),
        globs: Vec::new(),
        references: Vec::new(),
        macro_idents: Vec::new(),
        has_code: false,
    });
    all.len() - 1
}

struct Scanner<'a> {
    project: &'a Path,
    all: &'a mut Vec<Module>,
    module: ModuleId,
    /// The folder of the files of child modules.
    children: PathBuf,
}

impl Scanner<'_> {
    fn file(&mut self, path: &Path) {
        let text =
            fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let file =
            syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        self.items(&file.items);
    }

    fn items(&mut self, items: &[Item]) {
        for item in items {
            let is_import = matches!(item, Item::Mod(_) | Item::Use(_));
            self.current().has_code |= !is_import && !is_test(attributes(item));
            if let Some(name) = defined_name(item) {
                self.define(name, Definition::Item);
            }
            self.visit_item(item);
        }
    }

    fn current(&mut self) -> &mut Module {
        &mut self.all[self.module]
    }

    fn define(&mut self, name: String, definition: Definition) {
        self.current().names.entry(name).or_default().push(definition);
    }

    fn refer(&mut self, path: Segments, place: Place) {
        self.current().references.push((path, place));
    }

    fn import(&mut self, tree: &UseTree, before: &[String], is_public: bool) {
        let with = |name: &syn::Ident| {
            let mut path = before.to_vec();
            if name != "self" || path.is_empty() {
                path.push(name.to_string());
            }
            path
        };
        let (path, name) = match tree {
            UseTree::Path(path) => return self.import(&path.tree, &with(&path.ident), is_public),
            UseTree::Group(group) => {
                group.items.iter().for_each(|tree| self.import(tree, before, is_public));
                return;
            }
            UseTree::Glob(_) => {
                self.current().globs.push(before.to_vec());
                return self.refer(before.to_vec(), Place::Import { is_public });
            }
            UseTree::Name(name) => {
                let path = with(&name.ident);
                let name = path.last().cloned().unwrap_or_default();
                (path, name)
            }
            UseTree::Rename(rename) => (with(&rename.ident), rename.rename.to_string()),
        };
        if name != "_" {
            self.define(name, Definition::Import(path.clone()));
        }
        self.refer(path, Place::Import { is_public });
    }

    /// Finds the paths in the tokens of a macro call or an attribute.
    fn tokens(&mut self, tokens: TokenStream) {
        let mut path: Segments = Vec::new();
        // Whether the tokens before are `::`, and whether they are the first half of it or a `.`.
        let (mut is_joined, mut half, mut is_member) = (false, false, false);
        for token in tokens {
            match token {
                TokenTree::Ident(ident) => {
                    if !is_joined {
                        self.flush(&mut path);
                    }
                    if !is_member {
                        path.push(ident.to_string());
                    }
                    (is_joined, half, is_member) = (false, false, false);
                }
                TokenTree::Punct(punct) if punct.as_char() == ':' => {
                    is_joined = half;
                    half = !half && punct.spacing() == Spacing::Joint;
                    is_member = false;
                }
                TokenTree::Punct(punct) => {
                    self.flush(&mut path);
                    (is_joined, half, is_member) = (false, false, punct.as_char() == '.');
                }
                TokenTree::Group(group) => {
                    self.flush(&mut path);
                    (is_joined, half, is_member) = (false, false, false);
                    self.tokens(group.stream());
                }
                TokenTree::Literal(_) => {
                    self.flush(&mut path);
                    (is_joined, half, is_member) = (false, false, false);
                }
            }
        }
        self.flush(&mut path);
    }

    fn flush(&mut self, path: &mut Segments) {
        if !path.is_empty() {
            self.refer(std::mem::take(path), Place::Code);
        }
    }
}

impl<'ast> Visit<'ast> for Scanner<'_> {
    fn visit_item(&mut self, item: &'ast Item) {
        if !is_test(attributes(item)) {
            visit::visit_item(self, item);
        }
    }

    fn visit_impl_item(&mut self, item: &'ast ImplItem) {
        let is_test = match item {
            ImplItem::Fn(item) => is_test(&item.attrs),
            ImplItem::Const(item) => is_test(&item.attrs),
            _ => false,
        };
        if !is_test {
            visit::visit_impl_item(self, item);
        }
    }

    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        assert!(
            !item.attrs.iter().any(|attribute| attribute.path().is_ident("path")),
            "#[path] is not supported"
        );
        let name = item.ident.to_string();
        let parent = self.module;
        let inner = self.children.join(&name);
        let outer = std::mem::replace(&mut self.children, inner.clone());
        if let Some((_, items)) = &item.content {
            let file = self.current().file.clone();
            self.module = add_module(self.all, &file, Some(parent));
            self.items(items);
        } else {
            let flat = outer.join(format!("{name}.rs"));
            let path = if flat.exists() { flat } else { inner.join("mod.rs") };
            let file = path.strip_prefix(self.project).expect("a file of the project");
            let file = file.to_string_lossy().replace('\\', "/");
            self.module = add_module(self.all, &file, Some(parent));
            self.file(&path);
        }
        let child = std::mem::replace(&mut self.module, parent);
        self.children = outer;
        self.define(name, Definition::Module(child));
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        self.import(&item.tree, &[], !matches!(item.vis, Visibility::Inherited));
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments = path.segments.iter().map(|segment| segment.ident.to_string());
        self.refer(segments.collect(), Place::Code);
        visit::visit_path(self, path);
    }

    // `pub(crate)` is not a reference to the root.
    fn visit_visibility(&mut self, _: &'ast Visibility) {}

    fn visit_attribute(&mut self, attribute: &'ast Attribute) {
        let Meta::List(list) = &attribute.meta else { return };
        self.tokens(list.tokens.clone());
        // `#[serde(with = "crate::dynamodb::seconds")]` has its path in a string.
        let parser = Punctuated::<Meta, syn::Token![,]>::parse_terminated;
        let Ok(metas) = attribute.parse_args_with(parser) else { return };
        for meta in metas {
            let Meta::NameValue(pair) = meta else { continue };
            let takes_path = ["with", "serialize_with", "deserialize_with", "default"];
            if !takes_path.iter().any(|name| pair.path.is_ident(name)) {
                continue;
            }
            if let syn::Expr::Lit(literal) = &pair.value
                && let syn::Lit::Str(text) = &literal.lit
                && let Ok(path) = text.parse::<syn::Path>()
            {
                let segments = path.segments.iter().map(|segment| segment.ident.to_string());
                // The path of a module means its functions, so it counts like an import.
                self.refer(segments.collect(), Place::Import { is_public: false });
            }
        }
    }

    fn visit_macro(&mut self, called: &'ast Macro) {
        self.visit_path(&called.path);
        let before = self.current().references.len();
        self.tokens(called.tokens.clone());
        let idents = self.current().references[before..].iter().map(|(path, _)| path[0].clone());
        let idents: Vec<_> = idents.collect();
        self.current().macro_idents.extend(idents);
    }
}

/// Whether an item is compiled for unit tests only.
fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute.parse_args::<syn::Path>().is_ok_and(|path| path.is_ident("test"))
    })
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

fn defined_name(item: &Item) -> Option<String> {
    let name = match item {
        Item::Const(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Fn(item) => &item.sig.ident,
        Item::Macro(item) => item.ident.as_ref()?,
        Item::Static(item) => &item.ident,
        Item::Struct(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::Type(item) => &item.ident,
        _ => return None,
    };
    Some(name.to_string())
}
