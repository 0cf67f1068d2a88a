//! Strict reading of the few keys we need from other programs' JSON.
//!
//! State files hold strings that strangers chose (labels, annotations, environment), also as
//! *keys*, so a key counts only at its exact depth, and a document in which a key on the way to it
//! occurs twice is refused: readers disagree which one wins. The lexer is hifijson's; this file is
//! the only one that knows it.

#![forbid(unsafe_code)]

use super::text::number;
use hifijson::str::{Error as StringError, LexAlloc as _};
use hifijson::token::Lex as _;
use hifijson::{Expect, SliceLexer, num};
use std::borrow::Cow;
use std::fmt::{self, Display, Formatter};

/// Nesting beyond this is refused: no engine writes it, and the skipper recurses.
const MAX_DEPTH: usize = 64;

/// One value of a document.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Value<'a> {
    /// null, or none
    #[default]
    Null,
    /// true or false
    Bool(bool),
    /// A number, as it is spelled.
    Number(&'a [u8]),
    /// A string with its escapes resolved.
    String(Cow<'a, str>),
    /// An array or object, as text for [`select`] or [`elements`].
    Nested(&'a [u8]),
}

impl<'a> Value<'a> {
    /// The string, if it is one.
    pub fn string(&self) -> Option<&[u8]> {
        match self {
            Value::String(s) => Some(s.as_bytes()),
            _ => None,
        }
    }

    /// An unsigned integer; also one in a string, as runc before 1.0-rc4 and CRI-O write start
    /// times.
    pub fn integer(&self) -> Option<u64> {
        match self {
            Value::Number(digits) => number(digits),
            Value::String(digits) => number(digits.as_bytes()),
            _ => None,
        }
    }

    /// The text of an array or object.
    pub fn nested(&self) -> Option<&'a [u8]> {
        match self {
            Value::Nested(text) => Some(text),
            _ => None,
        }
    }
}

/// Why a document was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// It is not JSON, or ends too early.
    Malformed,
    /// It nests deeper than 64 levels.
    TooDeep,
    /// A key that was looked up occurs twice.
    Duplicate,
}

impl Display for Refused {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Refused::Malformed => "is not valid JSON",
            Refused::TooDeep => "is nested too deeply",
            Refused::Duplicate => "has a key twice",
        })
    }
}

impl From<StringError> for Refused {
    fn from(_: StringError) -> Refused {
        Refused::Malformed
    }
}

impl From<Expect> for Refused {
    fn from(_: Expect) -> Refused {
        Refused::Malformed
    }
}

/// Looks up `paths`, each the keys from the top-level object down with blanks between them, and
/// stores what is there. The whole document is checked.
///
/// # Errors
/// [`Refused`], also where any key of a path has a second occurrence in its object.
pub fn select<'a>(doc: &'a [u8], paths: &[&str], found: &mut [Value<'a>]) -> Result<(), Refused> {
    let all: Vec<usize> = (0..paths.len()).collect();
    let mut search = Search { paths, found };
    whole(doc, &mut |next, lexer| search.value(next, lexer, 0, &all))
}

/// Shows the elements of an array.
///
/// # Errors
/// [`Refused`], also where the document is no array, or what `show` says.
pub fn elements<'a>(doc: &'a [u8], show: Show<'_, 'a>) -> Result<(), Refused> {
    whole(doc, &mut |next, lexer| {
        if next != b'[' {
            return Err(Refused::Malformed);
        }
        items(next, lexer, &mut |next, lexer| show(scalar_or_text(next, lexer, 1)?))
    })
}

/// Is shown one value after the other.
pub type Show<'s, 'a> = &'s mut dyn FnMut(Value<'a>) -> Result<(), Refused>;

/// Reads one value whose first byte is given.
type Reader<'r, 'a> = &'r mut dyn FnMut(u8, &mut SliceLexer<'a>) -> Result<(), Refused>;

/// Runs `parse` over a document that must be UTF-8 and hold exactly one value.
fn whole<'a>(doc: &'a [u8], parse: Reader<'_, 'a>) -> Result<(), Refused> {
    std::str::from_utf8(doc).map_err(|_| Refused::Malformed)?;
    SliceLexer::new(doc).exactly_one(SliceLexer::ws_peek, parse)
}

/// Runs `parse` over what is in the array or object that `bracket` opens.
fn items<'a>(
    bracket: u8,
    lexer: &mut SliceLexer<'a>,
    parse: Reader<'_, 'a>,
) -> Result<(), Refused> {
    // In ASCII each closes the one two places before it.
    lexer.discarded().seq(bracket + 2, SliceLexer::ws_peek, parse)
}

struct Search<'a, 's> {
    paths: &'s [&'s str],
    found: &'s mut [Value<'a>],
}

impl<'a> Search<'a, '_> {
    /// Reads the value at `depth` whose keys so far are those of the `live` paths, by their
    /// numbers.
    fn value(
        &mut self,
        next: u8,
        lexer: &mut SliceLexer<'a>,
        depth: usize,
        live: &[usize],
    ) -> Result<(), Refused> {
        let leads_on = |path: &usize| key_of(self.paths[*path], depth).is_some();
        if next == b'{' && live.iter().any(leads_on) {
            return self.object(lexer, depth, live);
        }
        let value = scalar_or_text(next, lexer, depth)?;
        self.store(depth, live, value);
        Ok(())
    }

    fn object(
        &mut self,
        lexer: &mut SliceLexer<'a>,
        depth: usize,
        live: &[usize],
    ) -> Result<(), Refused> {
        let start = lexer.as_slice();
        let mut seen = vec![false; self.paths.len()];
        let mut below = Vec::with_capacity(live.len());
        items(b'{', lexer, &mut |next, lexer| {
            let key = key(next, lexer)?;
            below.clear();
            for path in live {
                if key_of(self.paths[*path], depth) == Some(key.as_bytes()) {
                    if std::mem::replace(&mut seen[*path], true) {
                        return Err(Refused::Duplicate);
                    }
                    below.push(*path);
                }
            }
            let next = lexer.ws_peek().ok_or(Expect::Value)?;
            self.value(next, lexer, depth + 1, &below)
        })?;
        self.store(depth, live, Value::Nested(before(start, lexer)));
        Ok(())
    }

    /// Keeps a value for the paths that end at it.
    fn store(&mut self, depth: usize, live: &[usize], value: Value<'a>) {
        for path in live {
            if key_of(self.paths[*path], depth).is_none() {
                self.found[*path] = value.clone();
            }
        }
    }
}

/// Returns the key of a path at a depth, unless the path has ended.
fn key_of(path: &str, depth: usize) -> Option<&[u8]> {
    path.as_bytes().split(|byte| *byte == b' ').nth(depth)
}

/// A scalar, or the text of an array or object.
fn scalar_or_text<'a>(
    next: u8,
    lexer: &mut SliceLexer<'a>,
    depth: usize,
) -> Result<Value<'a>, Refused> {
    match next {
        b'"' => Ok(Value::String(lexer.discarded().str_string()?)),
        b'a'..=b'z' => {
            Ok(lexer.null_or_bool().ok_or(Refused::Malformed)?.map_or(Value::Null, Value::Bool))
        }
        _ => {
            let start = lexer.as_slice();
            skip(next, lexer, depth)?;
            let text = before(start, lexer);
            Ok(if matches!(next, b'[' | b'{') { Value::Nested(text) } else { Value::Number(text) })
        }
    }
}

/// What of `start` has been read by now.
fn before<'a>(start: &'a [u8], lexer: &SliceLexer<'a>) -> &'a [u8] {
    &start[..start.len() - lexer.as_slice().len()]
}

/// Checks and discards a value.
fn skip(next: u8, lexer: &mut SliceLexer<'_>, depth: usize) -> Result<(), Refused> {
    if depth > MAX_DEPTH {
        return Err(Refused::TooDeep);
    }
    match next {
        b'[' | b'{' => items(next, lexer, &mut |mut first, lexer| {
            if next == b'{' {
                key(first, lexer)?;
                first = lexer.ws_peek().ok_or(Expect::Value)?;
            }
            skip(first, lexer, depth + 1)
        }),
        b'0'..=b'9' | b'-' => {
            num::Lex::num_ignore(lexer).validate().map_err(|_| Refused::Malformed)?;
            Ok(())
        }
        b'"' | b'a'..=b'z' => scalar_or_text(next, lexer, depth).map(|_| ()),
        _ => Err(Refused::Malformed),
    }
}

/// An object's key, with the colon after it.
fn key<'a>(next: u8, lexer: &mut SliceLexer<'a>) -> Result<Cow<'a, str>, Refused> {
    if next != b'"' {
        return Err(Refused::Malformed);
    }
    let key = lexer.discarded().str_string()?;
    lexer.expect(SliceLexer::ws_peek, b':').ok_or(Expect::Colon)?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(doc: &[u8]) -> Result<Vec<Value<'_>>, Refused> {
        let mut found = Vec::new();
        elements(doc, &mut |value| {
            found.push(value);
            Ok(())
        })?;
        Ok(found)
    }

    fn selected<'a, const N: usize>(
        doc: &'a [u8],
        paths: [&str; N],
    ) -> Result<[Value<'a>; N], Refused> {
        let mut found = [const { Value::Null }; N];
        select(doc, &paths, &mut found).map(|()| found)
    }

    fn pid(doc: &str) -> Result<Option<u64>, Refused> {
        let [pid] = selected(doc.as_bytes(), ["State Pid"])?;
        Ok(pid.integer())
    }

    #[test]
    fn keys_count_at_their_exact_depth_only() {
        assert_eq!(
            pid(r#"{"Pid":1,"Labels":{"State":{"Pid":2}},"State":{"x":{"Pid":3},"Pid":42}}"#),
            Ok(Some(42))
        );
        assert_eq!(pid(r#"{"State":[{"Pid":3}]}"#), Ok(None));
        assert_eq!(pid(r#"{"State":"\"Pid\":7"}"#), Ok(None));
        assert_eq!(pid(r#"[1]"#), Ok(None));
    }

    #[test]
    fn escaped_keys_are_the_same_keys() {
        assert_eq!(pid(r#"{"St\u0061te":{"Pid":5}}"#), Ok(Some(5)));
        assert_eq!(pid(r#"{"State":{"Pid":5,"P\u0069d":6}}"#), Err(Refused::Duplicate));
    }

    #[test]
    fn escapes_are_resolved_and_the_rest_is_left() {
        for (text, meaning) in [
            (r#""""#, ""),
            (r#""web é""#, "web é"),
            (r#""\n""#, "\n"),
            (r#""a\\b\"c\u00e9 d""#, "a\\b\"cé d"),
            (r#""\ud83d\ude00x\/""#, "😀x/"),
        ] {
            let text = format!("[{text}, 1]");
            assert_eq!(
                listed(text.as_bytes()).unwrap(),
                [Value::String(meaning.into()), Value::Number(b"1")]
            );
        }
    }

    #[test]
    fn a_second_occurrence_is_refused_at_every_level() {
        assert_eq!(pid(r#"{"State":{"Pid":1},"State":{}}"#), Err(Refused::Duplicate));
        assert_eq!(pid(r#"{"State":{"Pid":1},"State":7}"#), Err(Refused::Duplicate));
        assert_eq!(pid(r#"{"State":{"Pid":1,"Pid":1}}"#), Err(Refused::Duplicate));
        assert_eq!(pid(r#"{"a":1,"a":2,"State":{"Pid":1}}"#), Ok(Some(1)));
    }

    #[test]
    fn what_is_no_json_is_refused() {
        for doc in [
            "",
            "{",
            r#"{"State":{"Pid":1}"#,
            r#"{"State":{"Pid":1}} x"#,
            r#"{"State":{"Pid":01}}"#,
            "{'a':1}",
        ] {
            assert_eq!(pid(doc), Err(Refused::Malformed), "{doc}");
        }
        for doc in [
            r#"{"a":1,}"#,
            "{\"a\":\"\n\"}",
            r#"{"a":"\x"}"#,
            r#"{"a":"\ud800"}"#,
            r#"{"a":.5}"#,
            r#"{"a":nul}"#,
        ] {
            assert_eq!(pid(doc), Err(Refused::Malformed), "{doc}");
        }
        assert_eq!(selected(b"{\"a\":\"\xff\"}", ["b"]), Err(Refused::Malformed));
    }

    #[test]
    fn depth_is_bounded() {
        let deep = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
        assert_eq!(pid(&deep(60)), Ok(None));
        assert_eq!(pid(&deep(100_000)), Err(Refused::TooDeep));
        let objects = format!("{}1{}", r#"{"State":"#.repeat(100_000), "}".repeat(100_000));
        assert_eq!(pid(&objects), Err(Refused::TooDeep));
    }

    #[test]
    fn integers_are_digits_only() {
        for (text, value) in
            [("5", Some(5)), ("\"5\"", Some(5)), ("-5", None), ("5.0", None), ("5e1", None)]
        {
            assert_eq!(pid(&format!(r#"{{"State":{{"Pid":{text}}}}}"#)), Ok(value), "{text}");
        }
        assert_eq!(pid(r#"{"State":{"Pid":"+5"}}"#), Ok(None));
        assert_eq!(pid(r#"{"State":{"Pid":99999999999999999999}}"#), Ok(None));
    }

    #[test]
    fn arrays_and_nested_texts() {
        let doc = br#" {"a" : [ "x", {"k": [1]}, 2 ] , "b": {"c": 1} } "#;
        let [a, b] = selected(doc, ["a", "b"]).unwrap();
        let items = listed(a.nested().unwrap()).unwrap();
        assert_eq!(items[0], Value::String("x".into()));
        assert_eq!(items[1], Value::Nested(br#"{"k": [1]}"#));
        assert_eq!(items[2], Value::Number(b"2"));
        assert_eq!(b, Value::Nested(br#"{"c": 1}"#));
        assert_eq!(listed(b"{}"), Err(Refused::Malformed));
    }

    #[test]
    fn one_path_may_lead_through_another() {
        let [outer, inner] = selected(br#"{"State":{"Pid":1}}"#, ["State", "State Pid"]).unwrap();
        assert_eq!(outer, Value::Nested(br#"{"Pid":1}"#));
        assert_eq!(inner, Value::Number(b"1"));
    }
}
