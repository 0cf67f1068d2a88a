//! IP addresses as text: RFC 4291 and RFC 5952, as the standard library reads and writes them, in less than half its code.

#![forbid(unsafe_code)]

use crate::bytes::{Bytes, contains, decimal, join, keep, split};
use crate::text::number;

/// The octets of an address, 4 or 16.
pub type Ip = Bytes;

/// The address that this is the text of.
pub fn parse(text: &[u8]) -> Option<Ip> {
    match parse_v4(text) {
        Some(octets) => Some(keep(octets)),
        None => parse_v6(text),
    }
}

/// Whether it means nothing outside its link: RFC 3927, RFC 4291.
pub fn is_link_local(ip: Ip) -> bool {
    match ip {
        [169, 254, _, _] => true,
        [0xfe, second, ..] => ip.len() == 16 && second & 0xc0 == 0x80,
        _ => false,
    }
}

/// Whether it means nothing outside its namespace.
pub fn is_loopback(ip: Ip) -> bool {
    match ip {
        [127, _, _, _] => true,
        [zeros @ .., 1] => ip.len() == 16 && zeros.iter().all(|octet| *octet == 0),
        _ => false,
    }
}

fn parse_v4(text: &[u8]) -> Option<[u8; 4]> {
    let mut octets = [0; 4];
    let mut parts = split(text, b'.');
    for octet in &mut octets {
        let digits = parts.next()?;
        // One more digit could mean an octal number.
        let is_plain = digits.len() == 1 || digits.first() != Some(&b'0');
        *octet = decimal(digits).filter(|_| is_plain)?.try_into().ok()?;
    }
    parts.next().is_none().then_some(octets)
}

fn parse_v6(text: &[u8]) -> Option<Ip> {
    // Only the last part can be an IPv4 address.
    let last = text.iter().rposition(|b| *b == b':')?;
    if text[..last].contains(&b'.') {
        return None;
    }
    // A gap at an end has one colon more than it needs to be an empty part.
    let inner = text.strip_prefix(b":").filter(|rest| rest.starts_with(b":")).unwrap_or(text);
    let inner = inner.strip_suffix(b":").filter(|_| text.ends_with(b"::")).unwrap_or(inner);
    let (mut given, mut gap) = (Vec::new(), None);
    for part in split(inner, b':') {
        if part.is_empty() {
            if gap.replace(given.len()).is_some() {
                return None;
            }
        } else if let Some(last) = parse_v4(part) {
            given.extend_from_slice(&last);
        } else {
            given.extend_from_slice(&parse_group(part)?);
        }
    }
    let zeros = &[0; 16][given.len().min(16)..];
    // The gap stands for one group of zeros at least.
    if given.len() > 16 || gap.is_some() == zeros.is_empty() || gap.is_some() != contains(text, b"::") {
        return None;
    }
    let (before, after) = given.split_at(gap.unwrap_or_default());
    Some(join(&[before, zeros, after]))
}

fn parse_group(digits: &[u8]) -> Option<[u8; 2]> {
    let mut group = 0;
    for digit in digits {
        group = group << 4 | char::from(*digit).to_digit(16)?;
    }
    (digits.len() <= 4).then(|| (group as u16).to_be_bytes())
}

/// The text of an address.
pub fn text(ip: Ip) -> Bytes {
    let mut text = Vec::new();
    match ip {
        [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, mapped @ ..] => {
            text.extend_from_slice(b"::ffff:");
            put_v4(&mut text, mapped);
        }
        [_, _, _, _] => put_v4(&mut text, ip),
        _ => put_v6(&mut text, ip),
    }
    keep(text)
}

fn put_v4(text: &mut Vec<u8>, octets: &[u8]) {
    for octet in octets {
        if text.last().is_some_and(u8::is_ascii_digit) {
            text.push(b'.');
        }
        text.extend_from_slice(number(u64::from(*octet)));
    }
}

fn put_v6(text: &mut Vec<u8>, octets: &[u8]) {
    let group = |at: usize| u16::from_be_bytes([octets[2 * at], octets[2 * at + 1]]);
    // The first of the longest runs of zeros is left out, unless it is but one.
    let (mut gap, mut longest, mut run) = (0, 1, 0);
    for at in 0..8 {
        run = if group(at) == 0 { run + 1 } else { 0 };
        if run > longest {
            (gap, longest) = (at + 1 - run, run);
        }
    }
    let mut at = 0;
    while at < 8 {
        if at == gap && longest > 1 {
            text.extend_from_slice(b"::");
            at += longest;
            continue;
        }
        if text.last().is_some_and(|b| *b != b':') {
            text.push(b':');
        }
        put_hex(text, group(at));
        at += 1;
    }
}

/// Without zeros before it.
fn put_hex(text: &mut Vec<u8>, group: u16) {
    for shift in [12, 8, 4, 0] {
        if shift == 0 || group >> shift != 0 {
            text.push(b"0123456789abcdef"[usize::from(group >> shift & 15)]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::IpAddr;

    fn octets(ip: IpAddr) -> Ip {
        match ip {
            IpAddr::V4(ip) => keep(ip.octets()),
            IpAddr::V6(ip) => keep(ip.octets()),
        }
    }

    /// What the standard library says.
    fn expected(text: &str) -> Option<Ip> {
        text.parse().ok().map(octets)
    }

    /// Every text of up to seven of these, against the standard library's reading and writing.
    #[test]
    fn texts_are_read_and_written_as_the_standard_library_does() {
        let tokens = ["0", "1", "fff", ":", "::", ".", "1.2.3.40", "x"];
        let mut texts = vec![String::new()];
        let mut good = 0;
        for _ in 0..6 {
            texts = texts.iter().flat_map(|text| tokens.map(|token| format!("{text}{token}"))).collect();
            for text in &texts {
                let ip = parse(text.as_bytes());
                assert_eq!(ip, expected(text), "{text}");
                if let Some(ip) = ip {
                    assert_eq!(super::text(ip), text.parse::<IpAddr>().unwrap().to_string().as_bytes());
                    good += 1;
                }
            }
        }
        assert!(good > 100);
    }

    #[test]
    fn long_and_odd_ones_are_too() {
        let long = "1:2:3:4:5:6:7:8";
        for tail in ["", ":", "::", ":9", "::9", ":1.2.3.4"] {
            for cut in 0..=long.len() {
                let text = format!("{}{tail}", &long[..cut]);
                assert_eq!(parse(text.as_bytes()), expected(&text), "{text}");
            }
        }
        for text in ["256.0.0.1", "1.2.3.04", "1.2.3.4.5", "+1.2.3.4", "::12345", "::+1", "::ffff:1.2.3.4", "FD00::aB"]
        {
            assert_eq!(parse(text.as_bytes()), expected(text), "{text}");
        }
    }

    #[test]
    fn what_an_address_means_elsewhere() {
        for text in
            ["169.254.1.2", "fe80::1", "febf::1", "127.0.0.2", "::1", "10.0.0.1", "0.0.0.1", "254.128.0.1", "::"]
        {
            let (ip, own): (IpAddr, Ip) = (text.parse().unwrap(), expected(text).unwrap());
            let link_local = match ip {
                IpAddr::V4(ip) => ip.is_link_local(),
                IpAddr::V6(ip) => ip.is_unicast_link_local(),
            };
            assert_eq!((is_link_local(own), is_loopback(own)), (link_local, ip.is_loopback()), "{text}");
        }
        for text in ["::ffff:127.0.0.1", "::ffff:169.254.1.2", "fec0::1", "169.253.1.2"] {
            let ip = expected(text).unwrap();
            assert!(!is_link_local(ip) && !is_loopback(ip), "{text}");
        }
    }

    #[test]
    fn every_pattern_of_zeros_is_written_as_the_standard_library_does() {
        for bits in 0..1 << 16 {
            let group = |at: usize| [0, 1, 0xffff, 0x20][bits >> (2 * at) & 3];
            let ip = IpAddr::from(std::array::from_fn::<u16, 8, _>(group));
            assert_eq!(text(octets(ip)), ip.to_string().as_bytes());
        }
    }
}
