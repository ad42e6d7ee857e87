//! Paths with typed parameters.

use std::borrow::Cow;

use regex_lite::Regex;

use super::error::{MOST, TemplateError};
use super::syntax::{Part, is_name, parts};

/// The path of a route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathTemplate {
    text: String,
    /// For actix-web, with a final slash first: so that it never becomes part of a parameter.
    patterns: [String; 2],
    /// What they match at most, as regular expressions.
    outlines: [String; 2],
    parameters: Vec<String>,
}

impl PathTemplate {
    /// Reads a template such as `/ws/chat/{room}/`.
    ///
    /// # Errors
    /// [`TemplateError`].
    pub fn parse(template: &str) -> Result<Self, TemplateError> {
        if !template.starts_with('/') {
            return Err(TemplateError::NotAbsolute);
        }
        let mut pattern = String::new();
        let mut outline = START.to_owned();
        let mut parameters = Vec::new();
        for part in parts(template.strip_suffix('/').unwrap_or(template))? {
            match part {
                Part::Literal(text) if text.contains('*') => return Err(TemplateError::Star),
                Part::Literal(text) => {
                    pattern.push_str(&text);
                    outline.push_str(&regex::escape(&text));
                }
                Part::Parameter {
                    name,
                    pattern: given,
                } => {
                    if parameters.contains(&name) {
                        return Err(TemplateError::Repeated(name));
                    }
                    let known = given.as_deref().is_none_or(is_name);
                    let expression = expression(&name, given.as_deref())?;
                    outline.push_str(if known { expression } else { ANYTHING });
                    pattern.push_str(&format!("{{{name}:{expression}}}"));
                    parameters.push(name);
                }
            }
        }
        if parameters.len() > MOST {
            return Err(TemplateError::TooMany);
        }
        Ok(Self {
            text: template.to_owned(),
            patterns: [format!("{pattern}/"), pattern],
            outlines: [format!("{outline}/$"), format!("{outline}$")],
            parameters,
        })
    }

    /// The text of the template.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The patterns for a resource of actix-web: the path with its final slash, and without.
    pub fn patterns(&self) -> Vec<String> {
        self.patterns.to_vec()
    }

    /// Regular expressions that match what the patterns match, and more where a parameter has one of
    /// its own.
    pub(super) fn outlines(&self) -> &[String; 2] {
        &self.outlines
    }

    /// The canonical path of a request that matches: with a final slash exactly if the template has
    /// one. `path` is [spelled](crate::spelling) canonically.
    pub fn canonical<'p>(&self, path: &'p str) -> Cow<'p, str> {
        let bare = path.strip_suffix('/').unwrap_or(path);
        if self.text.ends_with('/') {
            format!("{bare}/").into()
        } else {
            bare.into()
        }
    }

    /// The names of the parameters.
    pub fn parameters(&self) -> &[String] {
        &self.parameters
    }
}

/// As the patterns start in actix-web: `.` matches line ends too, and `$` the end alone.
const START: &str = "(?s-m)^";

/// What stands for a regular expression of one's own in an outline.
const ANYTHING: &str = ".*";

/// What a parameter matches.
fn expression<'p>(name: &str, given: Option<&'p str>) -> Result<&'p str, TemplateError> {
    let Some(pattern) = given else {
        return Ok("[A-Za-z0-9_.-]+");
    };
    match pattern {
        "str" => return Ok("[^/]+"),
        "int" => return Ok("[0-9]+"),
        "slug" => return Ok("[A-Za-z0-9_-]+"),
        "uuid" => {
            return Ok(
                "[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}",
            );
        }
        "path" => return Ok(".+"),
        _ => {}
    }
    let name = name.to_owned();
    if is_name(pattern) {
        let kind = pattern.to_owned();
        return Err(TemplateError::Kind { name, kind });
    }
    // On its own, so that a pattern cannot close the group around it.
    match Regex::new(pattern) {
        Ok(_) => Ok(pattern),
        Err(error) => {
            let reason = error.to_string();
            Err(TemplateError::Pattern { name, reason })
        }
    }
}

#[cfg(test)]
mod tests {
    use actix_web::dev::{Path as Matched, ResourceDef};

    use super::*;

    /// The parameter `x` of a path, as actix-web finds it.
    fn value(template: &str, path: &str) -> Option<String> {
        let definition = ResourceDef::new(PathTemplate::parse(template).unwrap().patterns());
        let mut matched = Matched::new(path);
        let found = definition.capture_match_info(&mut matched);
        found.then(|| matched.get("x").unwrap_or_default().to_owned())
    }

    #[test]
    fn a_path_matches_exactly_with_and_without_its_final_slash() {
        for template in ["/ws/echo", "/ws/echo/"] {
            assert!(value(template, "/ws/echo").is_some());
            assert!(value(template, "/ws/echo/").is_some());
            for other in [
                "/ws/echo//",
                "/ws/ech",
                "/ws/echo/x",
                "/x/ws/echo",
                "/ws/echo\n",
            ] {
                assert_eq!(value(template, other), None, "{other:?}");
            }
        }
        assert!(value("/", "/").is_some());
    }

    #[test]
    fn each_kind_of_parameter_takes_what_it_says() {
        let uuid = "0b0e1a9c-6b0f-4cf0-9a1b-6f2d3c4e5f60";
        for (kind, taken, refused) in [
            ("", "a-b_c.9", "a b"),
            (":str", "a b", "a/b"),
            (":int", "0123", "12a"),
            (":slug", "a-b_c", "a.b"),
            (":uuid", uuid, "0b0e1a9c"),
            (":path", "a/b/c", ""),
            (":[a-z]{2,3}", "abc", "abcd"),
            (":str", "ann@café:42", "a/b"),
            (":user:[0-9]+", "user:42", "42"),
            (":[a-zé]+", "café", "CAFÉ"),
            (":a|b", "b", "c"),
        ] {
            let template = format!("/n/{{x{kind}}}/");
            for slash in ["", "/"] {
                let path = format!("/n/{taken}{slash}");
                assert_eq!(
                    value(&template, &path).as_deref(),
                    Some(taken),
                    "{template}"
                );
            }
            assert_eq!(
                value(&template, &format!("/n/{refused}")),
                None,
                "{template}"
            );
        }
    }

    #[test]
    fn the_template_says_whether_the_canonical_path_ends_with_a_slash() {
        for (template, path, due) in [
            ("/", "/", "/"),
            ("/a/{x}/", "/a/b", "/a/b/"),
            ("/a/{x}/", "/a/b/", "/a/b/"),
            ("/a", "/a/", "/a"),
            ("/a", "/a", "/a"),
        ] {
            let template = PathTemplate::parse(template).unwrap();
            assert_eq!(template.canonical(path), due);
        }
    }

    #[test]
    fn a_literal_is_no_pattern() {
        assert!(value("/a.b/{x}", "/a.b/c").is_some());
        assert!(value("/a.b/{x}", "/axb/c").is_none());
    }

    #[test]
    fn a_broken_path_says_what_is_wrong() {
        let many: String = (0..17).map(|index| format!("/{{p{index}}}")).collect();
        for (template, says) in [
            ("ws", "must start with"),
            ("/{x", "unbalanced"),
            ("/x}", "unbalanced"),
            ("/{x:\\{}", "unbalanced"),
            ("/{}", "parameter \"\""),
            ("/{x y}", "parameter \"x y\""),
            ("/{x}/{x}", "twice"),
            ("/{x:(}", "pattern of the parameter \"x\""),
            ("/{x:a)(b}", "pattern of the parameter \"x\""),
            ("/{x:integer}", "unknown kind \"integer\""),
            ("/x*", "{name:path}"),
            (&many, "more than 16"),
        ] {
            let error = PathTemplate::parse(template).unwrap_err().to_string();
            assert!(error.contains(says), "{template}: {error}");
        }
    }
}
