//! A URL taken apart as Python's `urllib.parse` does it, in its version of Python 3.11.

use std::net::Ipv6Addr;

use percent_encoding::percent_decode_str;

/// Characters that a normal form (NFKC) of a name turns into one of `/?#@:`.
const CONFUSING: &str = "\u{2048}\u{2047}\u{2049}\u{2100}\u{2101}\u{2105}\u{2106}\u{2a74}\u{fe13}\
                         \u{fe16}\u{fe55}\u{fe56}\u{fe5f}\u{fe6b}\u{ff03}\u{ff0f}\u{ff1a}\u{ff1f}\
                         \u{ff20}";

/// The parts of a URL, still encoded.
#[derive(Debug)]
pub(super) struct PythonUrl {
    /// In lower case; empty when there is none.
    pub(super) scheme: String,
    /// Between `//` and what follows: user, host and port.
    place: String,
    path: String,
    query: String,
}

impl PythonUrl {
    /// `urlsplit`.
    ///
    /// # Errors
    /// The reason why Python refuses it, without any part of it.
    pub(super) fn split(url: &str) -> Result<Self, String> {
        let url = url.trim_start_matches(|it| it <= ' ');
        let url = url.replace(['\t', '\r', '\n'], "");
        let (scheme, rest) = match url.split_once(':') {
            Some((scheme, rest)) if is_scheme(scheme) => (scheme.to_ascii_lowercase(), rest),
            _ => (String::new(), &*url),
        };
        let (place, rest) = match rest.strip_prefix("//") {
            Some(rest) => rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len())),
            None => ("", rest),
        };
        check_place(place)?;
        let (rest, _fragment) = rest.split_once('#').unwrap_or((rest, ""));
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        Ok(Self {
            scheme,
            place: place.into(),
            path: path.into(),
            query: query.into(),
        })
    }

    /// User and password; empty when not given.
    pub(super) fn user(&self) -> (String, String) {
        let (user, _) = self.place.rsplit_once('@').unwrap_or_default();
        let (name, password) = user.split_once(':').unwrap_or((user, ""));
        (decoded(name), decoded(password))
    }

    /// Empty when not given.
    pub(super) fn host(&self) -> String {
        let (host, _) = self.host_and_port();
        // What follows a % may be the zone of an address, which is not lowered.
        let (name, zone) = host.split_at(host.find('%').unwrap_or(host.len()));
        decoded(&(name.to_lowercase() + zone))
    }

    /// # Errors
    /// When it is no port.
    pub(super) fn port(&self) -> Result<Option<u16>, String> {
        let (_, port) = self.host_and_port();
        if port.is_empty() {
            return Ok(None);
        }
        let digits = port.bytes().all(|byte| byte.is_ascii_digit());
        let number = digits.then(|| port.parse().ok()).flatten();
        number.map(Some).ok_or_else(|| unreadable("port"))
    }

    pub(super) fn path(&self) -> String {
        decoded(&self.path)
    }

    /// What stands behind the question mark, the first of each name; those without a value are none.
    pub(super) fn options(&self) -> Vec<(String, String)> {
        let mut options: Vec<(String, String)> = Vec::new();
        for option in self.query.split('&') {
            let (name, value) = option.split_once('=').unwrap_or_default();
            let name = decoded(&name.replace('+', " "));
            if !value.is_empty() && options.iter().all(|(known, _)| *known != name) {
                options.push((name, decoded(&value.replace('+', " "))));
            }
        }
        options
    }

    fn host_and_port(&self) -> (&str, &str) {
        let place = &*self.place;
        let place = place.rsplit_once('@').map_or(place, |(_, place)| place);
        match place.split_once('[') {
            Some((_, rest)) => {
                let (host, rest) = rest.split_once(']').unwrap_or((rest, ""));
                (host, rest.split_once(':').map_or("", |(_, port)| port))
            }
            None => place.split_once(':').unwrap_or((place, "")),
        }
    }
}

/// Without the value: in a URL that was misread it could be a part of the password.
pub(super) fn unreadable(name: &str) -> String {
    format!("the value of {name:?} is no number in range")
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text
            .chars()
            .all(|it| it.is_ascii_alphanumeric() || "+-.".contains(it))
}

fn check_place(place: &str) -> Result<(), String> {
    if place.contains(|it| CONFUSING.contains(it)) {
        return Err("it has characters that look like / ? # @ or :".into());
    }
    let inside = match (place.split_once('['), place.contains(']')) {
        (None, false) => return Ok(()),
        (Some((_, rest)), true) => rest.split_once(']').map_or("", |(inside, _)| inside),
        _ => "",
    };
    if is_bracketed(inside) {
        Ok(())
    } else {
        Err("what stands in [ ] must be an IPv6 address; in a password write %5B and %5D".into())
    }
}

/// An IPv6 address, or the form that is reserved for later ones.
fn is_bracketed(text: &str) -> bool {
    if let Some(later) = text.strip_prefix('v') {
        let later = later.split_once('.');
        return later.is_some_and(|(version, rest)| {
            let digits = version.bytes().all(|byte| byte.is_ascii_hexdigit());
            !version.is_empty() && digits && !rest.is_empty()
        });
    }
    let (address, zone) = text.split_once('%').unwrap_or((text, "zone"));
    address.parse::<Ipv6Addr>().is_ok() && !zone.is_empty() && !zone.contains('%')
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}
