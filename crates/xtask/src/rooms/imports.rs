//! The paths that a module imports with `use`, or names in its code.

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Ident, Item, ItemMod, ItemUse, Macro, Path, UseTree};

use crate::rooms::tree::is_for_tests;

/// One path, as it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Import {
    pub(super) segments: Vec<String>,
    pub(super) line: usize,
    /// The name that a `use` gives to it in its module; `*` for all names.
    pub(super) binding: Option<String>,
}

/// The paths in the items of one module, without those of the modules in it.
pub(super) fn of(items: &[Item]) -> Vec<Import> {
    let mut reader = Reader::default();
    for item in items {
        if !matches!(item, Item::Mod(_)) {
            reader.visit_item(item);
        }
    }
    reader.found
}

#[derive(Default)]
struct Reader {
    found: Vec<Import>,
    /// How many blocks of code the reading is in.
    depth: usize,
}

impl Reader {
    fn use_tree(&mut self, tree: &UseTree, before: &[String]) {
        let with = |name: &Ident| {
            let mut segments = before.to_vec();
            segments.push(name.to_string());
            segments
        };
        match tree {
            UseTree::Path(path) => self.use_tree(&path.tree, &with(&path.ident)),
            UseTree::Name(name) if name.ident == "self" => {
                self.push_use(before.to_vec(), before.last().cloned(), name.ident.span());
            }
            UseTree::Name(name) => {
                let segments = with(&name.ident);
                self.push_use(segments, Some(name.ident.to_string()), name.ident.span());
            }
            UseTree::Rename(rename) => {
                let segments = if rename.ident == "self" {
                    before.to_vec()
                } else {
                    with(&rename.ident)
                };
                self.push_use(
                    segments,
                    Some(rename.rename.to_string()),
                    rename.ident.span(),
                );
            }
            UseTree::Glob(glob) => {
                self.push_use(before.to_vec(), Some("*".to_owned()), glob.star_token.span);
            }
            UseTree::Group(group) => {
                for tree in &group.items {
                    self.use_tree(tree, before);
                }
            }
        }
    }

    fn push_use(
        &mut self,
        segments: Vec<String>,
        binding: Option<String>,
        span: proc_macro2::Span,
    ) {
        let line = span.start().line;
        let binding = binding.filter(|_| self.depth == 0);
        self.found.push(Import {
            segments,
            line,
            binding,
        });
    }

    /// Paths with `::` in the tokens of a macro, which nobody has parsed.
    fn tokens(&mut self, tokens: TokenStream) {
        let mut path: Option<Import> = None;
        let mut colons = 0;
        for token in tokens {
            match token {
                TokenTree::Ident(name) => {
                    match &mut path {
                        Some(path) if colons == 2 => path.segments.push(name.to_string()),
                        _ => {
                            self.found.extend(path.take());
                            path = Some(Import {
                                segments: vec![name.to_string()],
                                line: name.span().start().line,
                                binding: None,
                            });
                        }
                    }
                    colons = 0;
                }
                TokenTree::Punct(mark) if mark.as_char() == ':' => colons += 1,
                TokenTree::Group(group) => {
                    self.found.extend(path.take());
                    self.tokens(group.stream());
                }
                TokenTree::Punct(_) | TokenTree::Literal(_) => self.found.extend(path.take()),
            }
        }
        self.found.extend(path);
    }
}

impl<'ast> Visit<'ast> for Reader {
    fn visit_item(&mut self, item: &'ast Item) {
        let attributes = match item {
            Item::Fn(item) => &item.attrs,
            Item::Impl(item) => &item.attrs,
            Item::Use(item) => &item.attrs,
            Item::Struct(item) => &item.attrs,
            _ => return visit::visit_item(self, item),
        };
        if !is_for_tests(attributes) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        self.use_tree(&item.tree, &[]);
    }

    fn visit_item_mod(&mut self, _: &'ast ItemMod) {}

    fn visit_block(&mut self, block: &'ast syn::Block) {
        self.depth += 1;
        visit::visit_block(self, block);
        self.depth -= 1;
    }

    fn visit_path(&mut self, path: &'ast Path) {
        let segments = path.segments.iter().map(|part| part.ident.to_string());
        let mut segments: Vec<_> = segments.collect();
        if path.leading_colon.is_some() {
            segments.insert(0, String::new());
        }
        let line = path
            .segments
            .first()
            .map_or(0, |first| first.ident.span().start().line);
        self.found.push(Import {
            segments,
            line,
            binding: None,
        });
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast Macro) {
        self.tokens(call.tokens.clone());
        visit::visit_macro(self, call);
    }
}
