//! Attributes of netlink messages, rtnetlink(7): read where they are, safe on any bytes.

#![forbid(unsafe_code)]

/// The two upper bits of an attribute's type are flags: linux/netlink.h.
const NLA_TYPE_MASK: u16 = 0x3fff;

/// Returns the value of the first attribute of this type.
pub(super) fn find(mut attributes: &[u8], wanted: u16) -> Option<&[u8]> {
    loop {
        let length = usize::from(u16_at(attributes, 0)?);
        let kind = u16_at(attributes, 2)? & NLA_TYPE_MASK;
        let value = attributes.get(4..length)?;
        if kind == wanted {
            return Some(value);
        }
        attributes = attributes.get(align(length)..)?;
    }
}

/// Returns the value of 32 bits of the first attribute of this type.
pub(super) fn find_u32(attributes: &[u8], wanted: u16) -> Option<u32> {
    u32_at(find(attributes, wanted)?, 0)
}

/// Returns the length with the padding that follows: NLA_ALIGN and NLMSG_ALIGN.
pub(super) fn align(length: usize) -> usize {
    length.next_multiple_of(4)
}

/// Returns the number of 16 bits at an offset, if it is all there.
pub(super) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().copied().map(u16::from_ne_bytes)
}

/// Returns the number of 32 bits at an offset, if it is all there.
pub(super) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().copied().map(u32::from_ne_bytes)
}

/// Returns a text of C's without the NUL at its end.
pub(super) fn until_nul(text: &[u8]) -> &[u8] {
    text.split(|byte| *byte == 0).next().unwrap_or_default()
}

#[cfg(test)]
pub(super) mod tests {
    use super::align;

    pub(in crate::kernel) fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
        let length = (4 + value.len()) as u16;
        let mut bytes = [&length.to_ne_bytes(), &kind.to_ne_bytes(), value].concat();
        bytes.resize(align(bytes.len()), 0);
        bytes
    }

    pub(in crate::kernel) fn number(kind: u16, value: i32) -> Vec<u8> {
        attribute(kind, &value.to_ne_bytes())
    }
}
