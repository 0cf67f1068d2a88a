//! What one process of this program reports to another: fields of bytes, each after its length.

#![forbid(unsafe_code)]

/// Adds a field to a report.
pub fn put(report: &mut Vec<u8>, field: &[u8]) {
    // No report is as long as four bytes can tell.
    report.extend_from_slice(&(field.len() as u32).to_ne_bytes());
    report.extend_from_slice(field);
}

/// Adds a number to a report.
pub fn put_number(report: &mut Vec<u8>, number: u64) {
    put(report, &number.to_ne_bytes());
}

/// What is left of a report. Everything taken from it is None where it ends too early.
pub struct Fields<'a>(pub &'a [u8]);

impl<'a> Fields<'a> {
    /// Takes the next field.
    pub fn take(&mut self) -> Option<&'a [u8]> {
        let (length, rest) = self.0.split_first_chunk()?;
        let (field, rest) = rest.split_at_checked(u32::from_ne_bytes(*length) as usize)?;
        self.0 = rest;
        Some(field)
    }

    /// Takes the next field, a number.
    pub fn number(&mut self) -> Option<u64> {
        Some(u64::from_ne_bytes(self.take()?.try_into().ok()?))
    }
}
