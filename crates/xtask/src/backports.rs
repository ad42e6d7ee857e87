//! Packages that a Debian release has in its backports only.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::run::{root, succeeds};

/// Whether apt-get can install a package as it is configured.
pub(crate) fn available(package: &str) -> bool {
    succeeds(Command::new("apt-cache").args(["show", package]))
}

/// What makes apt-get see the backports of this release too, for one run: its configuration stays
/// as it is. They come from where the release itself comes from.
pub(crate) fn options() -> Result<[String; 2]> {
    let release = codename(&fs::read_to_string("/etc/os-release").unwrap_or_default())
        .context("/etc/os-release names no release")?;
    let mut targets = Command::new("apt-get");
    targets.args(["indextargets", "--format", "$(REPO_URI) $(CODENAME)"]);
    let targets = targets.arg("Created-By: Packages").output()?;
    let targets = String::from_utf8_lossy(&targets.stdout);
    let Some(place) = place(&targets, &release) else {
        bail!("apt-get has no source of {release}");
    };
    let own = fs::read_to_string("/etc/apt/sources.list").unwrap_or_default();
    let list = root().join("target/with-backports.list");
    fs::create_dir_all(root().join("target"))?;
    fs::write(
        &list,
        format!("{own}\ndeb {place} {release}-backports main\n"),
    )
    .with_context(|| format!("cannot write {}", list.display()))?;
    let list = list.display();
    Ok(["--option".into(), format!("Dir::Etc::SourceList={list}")])
}

fn codename(os_release: &str) -> Option<String> {
    let mut lines = os_release.lines();
    let value = lines.find_map(|line| line.strip_prefix("VERSION_CODENAME="))?;
    Some(value.trim_matches('"').to_owned())
}

/// Where a release comes from, among lines of `URI release`.
fn place<'a>(targets: &'a str, release: &str) -> Option<&'a str> {
    let mut targets = targets.lines().filter_map(|line| line.split_once(' '));
    targets
        .find(|(_, codename)| *codename == release)
        .map(|(uri, _)| uri)
}

#[cfg(test)]
mod tests {
    use super::{codename, place};

    #[test]
    fn backports_come_from_where_the_release_comes_from() {
        let release = codename("ID=debian\nVERSION_CODENAME=\"bookworm\"\n").unwrap();
        let targets = "https://a/security/ bookworm-security\nhttps://a/debian/ bookworm\n";
        assert_eq!(place(targets, &release), Some("https://a/debian/"));
        assert_eq!(place(targets, "trixie"), None);
    }
}
