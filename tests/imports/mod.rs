//! The paths that each source file names, read from its syntax: imports of every shape, paths in code, and paths in
//! macros.

use std::collections::HashMap;
use std::path::Path;

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{ItemMod, ItemUse, Macro, UseTree};

/// A file and the paths it names. Paths into our own crate, and the file's own module, leave out `crate`.
#[derive(Debug)]
pub(crate) struct SourceFile {
    /// Its path below `src`.
    pub(crate) name: String,
    /// Its module: `["jobs", "extend"]`. `lib.rs` and `main.rs` have none.
    pub(crate) module: Vec<String>,
    /// Paths into our own crate.
    pub(crate) own: Vec<Vec<String>>,
    /// Paths into other crates.
    pub(crate) foreign: Vec<Vec<String>>,
}

/// Every Rust file below `src`.
pub(crate) fn read(src: &Path) -> Vec<SourceFile> {
    let entries = walkdir::WalkDir::new(src).sort_by_file_name().into_iter();
    let paths = entries.map(|entry| entry.expect("a readable folder").into_path());
    let rust = paths.filter(|path| path.extension().is_some_and(|extension| extension == "rs"));
    rust.map(|path| {
        let name = path.strip_prefix(src).expect("found in src").to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&path).expect("a readable file");
        source_file(name, &text)
    })
    .collect()
}

fn source_file(name: String, text: &str) -> SourceFile {
    let mut module: Vec<String> =
        name.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
    if module.last().is_some_and(|last| last == "mod") || module == ["lib"] {
        module.pop();
    }
    let syntax = syn::parse_file(text).unwrap_or_else(|error| panic!("{name}: {error}"));
    let mut names = Names { scope: module.clone(), ..Names::default() };
    names.visit_file(&syntax);
    let Names { imports, mut paths, .. } = names;
    // Replaces an imported name at the start of a path with the path of the import.
    for path in &mut paths {
        if let Named { path, is_absolute: false } = path
            && let Some(imported) = imports.get(&path[0])
        {
            path.splice(..1, imported.iter().cloned());
        }
    }
    let (own, foreign) =
        paths.into_iter().map(|named| named.path).partition(|path| path[0] == "crate");
    let own = Vec::into_iter(own).map(|path: Vec<String>| path[1..].to_vec());
    let own = own.filter(|path| !path.is_empty()).collect();
    SourceFile { name, module, own, foreign }
}

#[derive(Debug)]
struct Named {
    path: Vec<String>,
    /// Whether the path begins at a crate, not at a name that is local to the file.
    is_absolute: bool,
}

#[derive(Debug, Default)]
struct Names {
    /// The module being visited.
    scope: Vec<String>,
    /// The full path of each imported name and of each child module.
    imports: HashMap<String, Vec<String>>,
    paths: Vec<Named>,
}

impl Names {
    /// Resolves a path that begins with `self`, `super` or `crate` to `crate::…`; keeps any other as it is.
    fn absolute(&self, path: Vec<String>) -> Named {
        let mut scope = self.scope.clone();
        let mut rest = path.as_slice();
        let mut is_absolute = false;
        while let Some((first, after)) = rest.split_first() {
            match first.as_str() {
                "crate" => scope.clear(),
                "super" => drop(scope.pop()),
                "self" => {}
                _ => break,
            }
            (rest, is_absolute) = (after, true);
        }
        if !is_absolute {
            return Named { path, is_absolute };
        }
        let root = std::iter::once("crate".to_owned());
        let path = root.chain(scope).chain(rest.iter().cloned()).collect();
        Named { path, is_absolute }
    }

    fn import(&mut self, before: &[String], tree: &UseTree) {
        let joined = |name: String| [before, &[name]].concat();
        let (name, path) = match tree {
            UseTree::Path(path) => return self.import(&joined(path.ident.to_string()), &path.tree),
            UseTree::Group(group) => {
                return group.items.iter().for_each(|tree| self.import(before, tree));
            }
            UseTree::Name(name) if name.ident == "self" => {
                (before.last().cloned(), before.to_vec())
            }
            UseTree::Name(name) => (Some(name.ident.to_string()), joined(name.ident.to_string())),
            UseTree::Rename(rename) => {
                let path = if rename.ident == "self" {
                    before.to_vec()
                } else {
                    joined(rename.ident.to_string())
                };
                (Some(rename.rename.to_string()), path)
            }
            UseTree::Glob(_) => (None, before.to_vec()),
        };
        let named = Named { is_absolute: true, ..self.absolute(path) };
        if let Some(name) = name {
            self.imports.insert(name, named.path.clone());
        }
        self.paths.push(named);
    }

    /// Collects paths, such as `a::b`, from the arguments of a macro.
    fn tokens(&mut self, tokens: TokenStream) {
        let mut path: Vec<String> = Vec::new();
        let mut colons = 0;
        for token in tokens {
            match token {
                TokenTree::Ident(ident) => {
                    if colons != 2 {
                        self.end_of(&mut path);
                    }
                    path.push(ident.to_string());
                    colons = 0;
                }
                TokenTree::Punct(punct) if punct.as_char() == ':' => colons += 1,
                other => {
                    self.end_of(&mut path);
                    colons = 0;
                    if let TokenTree::Group(group) = other {
                        self.tokens(group.stream());
                    }
                }
            }
        }
        self.end_of(&mut path);
    }

    fn end_of(&mut self, path: &mut Vec<String>) {
        let path = std::mem::take(path);
        if path.len() > 1 {
            let named = self.absolute(path);
            self.paths.push(named);
        }
    }
}

impl<'ast> Visit<'ast> for Names {
    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        self.import(&[], &item.tree);
    }

    fn visit_item_mod(&mut self, module: &'ast ItemMod) {
        let name = module.ident.to_string();
        if module.content.is_none() {
            let root = std::iter::once("crate".to_owned());
            let path = root.chain(self.scope.clone()).chain([name.clone()]).collect();
            self.imports.insert(name, path);
            return;
        }
        self.scope.push(name);
        visit::visit_item_mod(self, module);
        self.scope.pop();
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments: Vec<String> =
            path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        if segments.len() > 1 {
            let named = self.absolute(segments);
            self.paths.push(named);
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, makro: &'ast Macro) {
        self.tokens(makro.tokens.clone());
        visit::visit_macro(self, makro);
    }
}
