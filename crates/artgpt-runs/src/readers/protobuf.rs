//! Parses protobuf messages field by field, without schemas and without allocation.

use prost::bytes::Buf;
use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};

/// The content of a protobuf field.
pub(crate) enum Field<'a> {
    Varint(u64),
    Fixed32(u32),
    Fixed64(u64),
    Bytes(&'a [u8]),
    Group,
}

/// Field numbers and contents of a message. If it is damaged, the last item is `None`.
pub(crate) fn fields(mut bytes: &[u8]) -> impl Iterator<Item = Option<(u32, Field<'_>)>> {
    std::iter::from_fn(move || {
        (!bytes.is_empty()).then(|| {
            let next = field(&mut bytes);
            if next.is_none() {
                bytes = &[];
            }
            next
        })
    })
}

fn field<'a>(bytes: &mut &'a [u8]) -> Option<(u32, Field<'a>)> {
    let (number, kind) = decode_key(bytes).ok()?;
    let content = match kind {
        WireType::Varint => Field::Varint(decode_varint(bytes).ok()?),
        WireType::ThirtyTwoBit => Field::Fixed32(bytes.try_get_u32_le().ok()?),
        WireType::SixtyFourBit => Field::Fixed64(bytes.try_get_u64_le().ok()?),
        WireType::LengthDelimited => {
            let length = usize::try_from(decode_varint(bytes).ok()?).ok()?;
            let (inner, rest) = bytes.split_at_checked(length)?;
            *bytes = rest;
            Field::Bytes(inner)
        }
        WireType::StartGroup | WireType::EndGroup => {
            skip_field(kind, number, bytes, DecodeContext::default()).ok()?;
            Field::Group
        }
    };
    Some((number, content))
}
