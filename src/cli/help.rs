//! The texts of `--help` and `--version`.

#![forbid(unsafe_code)]

use super::options::{Kind, OPTIONS, Opt};

/// The text of `--version`.
pub const VERSION: &str = concat!("netns-enter ", env!("CARGO_PKG_VERSION"), "\n");

const INTRO: &str = "\
Usage: netns-enter [OPTION]... TARGET [OPTION]... [--] [COMMAND [ARG]...]
       netns-enter --all [OPTION]... [--] COMMAND [ARG]...
       netns-enter --list [--json | --tree] [--deep] [TARGET]
       netns-enter --unpin NAME...
       netns-enter --pin-all

Enter the network namespace of a process, container or pod and become COMMAND
($SHELL without one) there, with all else as it is here. With --pin and no
COMMAND nothing is run.
";

const TARGETS: &str = "
TARGET, one of:
  NAME                     a container, a pod or an entry of /run/netns;
                           with a leading / or . a namespace file
";

const OTHERS: &str = "
Options, before or after TARGET:
";

const OUTRO: &str = "
Exit status: COMMAND's own; 125 netns-enter failed and ran nothing;
126 COMMAND cannot be executed; 127 COMMAND not found.

Examples:
  netns-enter web tcpdump -ni eth0
  netns-enter --pid 3456 -- ip addr
  netns-enter shop/cart-7d9f -- ss -tnp
  netns-enter web --pin web
";

/// Returns the text of `--help`.
pub fn text() -> String {
    let (mut targets, mut others) = (String::new(), String::new());
    for opt in OPTIONS {
        let section = if let Kind::Target(_) = opt.kind { &mut targets } else { &mut others };
        *section += &line(opt);
    }
    format!("{INTRO}{TARGETS}{targets}{OTHERS}{others}{OUTRO}")
}

/// Returns the line of one option: how it is spelled, and from column 27 on what it does.
fn line(opt: &Opt) -> String {
    let short = opt.short.map_or("    ".to_owned(), |short| format!("-{short}, "));
    let value = match opt.value {
        None => String::new(),
        Some(value) if opt.kind == Kind::Wait => format!("[={value}]"),
        Some(value) => format!(" {value}"),
    };
    format!("{:<27}{}\n", format!("  {short}{opt}{value}"), opt.help)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn help_is_narrow() {
        let text = text();
        assert!(text.lines().all(|line| line.chars().count() < 80), "{text}");
    }

    #[test]
    fn every_option_has_a_line_in_its_column() {
        let text = text();
        for opt in OPTIONS {
            let line = line(opt);
            assert!(text.contains(&line), "{opt:?}");
            assert_eq!(line.find(&format!("  {}\n", opt.help)), Some(25), "{line}");
        }
    }
}
