//! Templates of the configured routes: paths with parameters, and the group names made from those.

use fanfare_protocol::{GroupName, NameError};
use fanfare_web::template::{self, Part, SyntaxError};
use regex_lite::Regex;

/// What `{x}` matches when the template gives no pattern.
const DEFAULT_PATTERN: &str = "[A-Za-z0-9_.-]+";

/// What the groups of Fanfare's own start with: everybody's and each user's.
const RESERVED: &str = "fanfare.";

/// Why a template cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TemplateError {
    /// Paths are absolute.
    #[error("path {0:?} must start with \"/\"")]
    NotAbsolute(String),
    /// A `{` without its `}`, or the reverse.
    #[error("{0:?} has an unbalanced brace")]
    Unbalanced(String),
    /// Parameters are named like variables.
    #[error("{template:?}: parameter {name:?} must be a letter or _, then letters, digits or _")]
    ParameterName { template: String, name: String },
    /// A parameter that is there twice.
    #[error("{template:?} names the parameter {name:?} twice")]
    Repeated { template: String, name: String },
    /// A pattern that is no regular expression.
    #[error("{template:?}: pattern of parameter {name:?}: {reason}")]
    Pattern {
        template: String,
        name: String,
        reason: String,
    },
    /// A group template with a parameter that the path lacks.
    #[error("group {template:?} uses {{{name}}}, which the path does not have")]
    Unknown { template: String, name: String },
    /// Group templates take parameters as the path matched them.
    #[error("group {template:?} gives {{{name}}} a pattern; patterns belong to the path")]
    PatternInGroup { template: String, name: String },
}

/// The path of a route: exact, with or without its final slash.
#[derive(Debug, Clone)]
pub(crate) struct PathTemplate {
    /// As it was configured.
    text: String,
    matcher: Regex,
    parameters: Vec<String>,
}

/// What the parameters of a path matched, percent-decoded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Parameters(Vec<(String, String)>);

/// The name of a group with `{parameters}` of the path in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct GroupTemplate(Vec<Part>);

impl PathTemplate {
    pub(crate) fn parse(template: &str) -> Result<Self, TemplateError> {
        if !template.starts_with('/') {
            return Err(TemplateError::NotAbsolute(template.into()));
        }
        let mut expression = String::from("^");
        let mut parameters = Vec::new();
        for part in parts(without_final_slash(template))? {
            match part {
                Part::Literal(text) => expression.push_str(&regex_lite::escape(&text)),
                Part::Parameter { name, pattern } => {
                    let pattern = pattern.as_deref().unwrap_or(DEFAULT_PATTERN);
                    // On its own first, so that a pattern cannot close the group around it.
                    Regex::new(pattern).map_err(|error| TemplateError::Pattern {
                        template: template.into(),
                        name: name.clone(),
                        reason: error.to_string(),
                    })?;
                    if parameters.contains(&name) {
                        return Err(TemplateError::Repeated {
                            template: template.into(),
                            name,
                        });
                    }
                    expression.push_str(&format!("(?<{name}>{pattern})"));
                    parameters.push(name);
                }
            }
        }
        expression.push('$');
        let matcher = Regex::new(&expression).map_err(|error| TemplateError::Pattern {
            template: template.into(),
            name: parameters.join(", "),
            reason: error.to_string(),
        })?;
        Ok(Self {
            text: template.to_owned(),
            matcher,
            parameters,
        })
    }

    /// The template as it was configured.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// Matches a whole path. Its final slash is tried as none first, so that it never becomes part
    /// of a parameter that could do without.
    pub(crate) fn matches(&self, path: &str) -> Option<Parameters> {
        let bare = without_final_slash(path);
        let found = self
            .matcher
            .captures(bare)
            .or_else(|| self.matcher.captures(path))?;
        let value = |name: &String| {
            let raw = found.name(name).map_or("", |matched| matched.as_str());
            let decoded = percent_encoding::percent_decode_str(raw).decode_utf8_lossy();
            (name.clone(), decoded.into_owned())
        };
        Some(Parameters(self.parameters.iter().map(value).collect()))
    }
}

impl PartialEq for PathTemplate {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for PathTemplate {}

impl Parameters {
    fn get(&self, name: &str) -> &str {
        self.0
            .iter()
            .find(|(key, _)| key == name)
            .map_or("", |(_, value)| value)
    }
}

impl GroupTemplate {
    /// `path` is the template whose parameters may be used.
    pub(crate) fn parse(template: &str, path: &PathTemplate) -> Result<Self, TemplateError> {
        let parts = parts(template)?;
        for part in &parts {
            let Part::Parameter { name, pattern } = part else {
                continue;
            };
            let (template, name) = (template.to_owned(), name.clone());
            if pattern.is_some() {
                return Err(TemplateError::PatternInGroup { template, name });
            }
            if !path.parameters.contains(&name) {
                return Err(TemplateError::Unknown { template, name });
            }
        }
        Ok(Self(parts))
    }

    pub(crate) fn render(&self, parameters: &Parameters) -> Result<GroupName, NameError> {
        let mut name = String::new();
        for part in &self.0 {
            name.push_str(match part {
                Part::Literal(text) => text,
                Part::Parameter { name, .. } => parameters.get(name),
            });
        }
        // A client names what stands in the path: it must not name its way into everybody's group
        // or another user's.
        if name.starts_with(RESERVED) {
            return Err(NameError::Reserved {
                kind: "group",
                name,
            });
        }
        GroupName::parse(&name)
    }
}

fn without_final_slash(path: &str) -> &str {
    path.strip_suffix('/').unwrap_or(path)
}

fn parts(template: &str) -> Result<Vec<Part>, TemplateError> {
    template::parts(template).map_err(|error| match error {
        SyntaxError::Unbalanced => TemplateError::Unbalanced(template.into()),
        SyntaxError::Name(name) => TemplateError::ParameterName {
            template: template.into(),
            name,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(template: &str) -> PathTemplate {
        PathTemplate::parse(template).unwrap()
    }

    fn value(template: &str, tried: &str) -> Option<String> {
        path(template)
            .matches(tried)
            .map(|parameters| parameters.get("x").to_owned())
    }

    #[test]
    fn a_path_matches_exactly_with_or_without_its_final_slash() {
        for template in ["/ws/echo", "/ws/echo/"] {
            let path = path(template);
            assert!(path.matches("/ws/echo").is_some());
            assert!(path.matches("/ws/echo/").is_some());
            for other in [
                "/ws/echo//",
                "/ws/ech",
                "/ws/echo/x",
                "/x/ws/echo",
                "/ws/echo\n",
                "",
            ] {
                assert!(path.matches(other).is_none(), "{other:?}");
            }
        }
        assert!(path("/").matches("/").is_some());
    }

    #[test]
    fn a_parameter_takes_ascii_name_characters_of_one_segment() {
        assert_eq!(
            value("/ws/{x}/", "/ws/a-b_c.9/").as_deref(),
            Some("a-b_c.9")
        );
        for tried in [
            "/ws//",
            "/ws/a/b",
            "/ws/a%2Fb",
            "/ws/a%20b",
            "/ws/\u{e9}",
            "/ws/\u{663}",
        ] {
            assert_eq!(value("/ws/{x}/", tried), None, "{tried:?}");
        }
    }

    #[test]
    fn a_pattern_replaces_what_a_parameter_takes_and_its_value_is_decoded() {
        assert_eq!(
            value("/n/{x:[0-9]{2,3}}", "/n/123/").as_deref(),
            Some("123")
        );
        assert_eq!(value("/n/{x:[0-9]{2,3}}", "/n/1"), None);
        assert_eq!(value("/n/{x:\\d+}", "/n/\u{663}"), None);
        assert_eq!(value("/f/{x:.+}", "/f/a/b%2Fc/").as_deref(), Some("a/b/c"));
        assert_eq!(value("/f/{x:a|b}/c", "/f/b/c").as_deref(), Some("b"));
    }

    #[test]
    fn what_a_literal_has_is_no_pattern() {
        assert!(path("/a.b").matches("/a.b").is_some());
        assert!(path("/a.b").matches("/axb").is_none());
    }

    #[test]
    fn a_group_is_made_from_parameters_and_checked() {
        let path = path("/ws/{room}/{user}");
        let parameters = path.matches("/ws/lobby/ann").unwrap();
        let group = GroupTemplate::parse("chat_{room}.{user}", &path).unwrap();
        assert_eq!(
            group.render(&parameters).unwrap().as_str(),
            "chat_lobby.ann"
        );
        let long = path.matches(&format!("/ws/{}/b", "a".repeat(99))).unwrap();
        assert!(matches!(
            group.render(&long),
            Err(NameError::Illegal { .. })
        ));
    }

    #[test]
    fn a_broken_template_says_what_is_wrong() {
        let fails = |template: &str| PathTemplate::parse(template).unwrap_err().to_string();
        assert!(fails("ws").contains("must start with"));
        assert!(fails("/{x").contains("unbalanced"));
        assert!(fails("/x}").contains("unbalanced"));
        assert!(fails("/{}").contains("parameter \"\""));
        assert!(fails("/{x y}").contains("parameter \"x y\""));
        assert!(fails("/{x}/{x}").contains("twice"));
        assert!(fails("/{x:(}").contains("pattern of parameter \"x\""));
        assert!(fails("/{x:a)(b}").contains("pattern of parameter \"x\""));
        let path = path("/{x}");
        let fails = |template: &str| {
            GroupTemplate::parse(template, &path)
                .unwrap_err()
                .to_string()
        };
        assert!(fails("{y}").contains("{y}"));
        assert!(fails("{x:a}").contains("patterns belong to the path"));
    }

    #[test]
    fn a_parameter_cannot_name_a_group_of_the_servers_own() {
        let path = path("/room/{x}");
        let group = GroupTemplate::parse("{x}", &path).unwrap();
        for name in ["fanfare.all", "fanfare.user.ada"] {
            let parameters = path.matches(&format!("/room/{name}")).unwrap();
            let reserved = NameError::Reserved {
                kind: "group",
                name: name.into(),
            };
            assert_eq!(group.render(&parameters), Err(reserved));
        }
    }
}
