//! Writes a JSON object field by field.

use crate::wire::contract::field::Field;
use crate::wire::contract::value::Value;

/// An object that is being appended to `out`.
pub(crate) struct ObjectWriter<'o> {
    out: &'o mut Vec<u8>,
    start: usize,
}

impl<'o> ObjectWriter<'o> {
    pub(crate) const fn begin(out: &'o mut Vec<u8>) -> Self {
        let start = out.len();
        Self { out, start }
    }

    #[inline]
    pub(crate) fn field<T: Value>(&mut self, field: Field, value: &T) {
        value.encode(self.key(field));
    }

    /// Writes a field if it has a value.
    #[inline]
    pub(crate) fn optional<T: Value>(&mut self, field: Field, value: Option<&T>) {
        if let Some(value) = value {
            self.field(field, value);
        }
    }

    /// Writes a name with its colon; the caller writes the value.
    #[inline]
    pub(crate) fn key(&mut self, field: Field) -> &mut Vec<u8> {
        self.out.extend_from_slice(field.key().as_bytes());
        self.out
    }

    /// Ends the object. Each name was written with a comma before it, so the first comma now becomes
    /// the opening brace; at least one field must have been written.
    pub(crate) fn end(self) {
        if let Some(comma) = self.out.get_mut(self.start) {
            *comma = b'{';
        } else {
            impossible!("an object without a field was written");
        }
        self.out.push(b'}');
    }
}
