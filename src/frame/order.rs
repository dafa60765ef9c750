//! The order for a job: the numbers that the chamber reads before it forks.

/// Bytes of an [`Order`].
pub const ORDER_BYTES: usize = 40;

/// First bytes of an order.
const MAGIC: [u8; 8] = *b"sealpro1";

/// An order for a job. It holds numbers only, so the chamber parses nothing that a client has written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Order {
    /// The service's number for this attempt.
    pub ticket: u64,
    /// Time after which the chamber kills the process, in milliseconds.
    pub limit_ms: u64,
    /// Memory that the process may take beyond its memory at birth and its stacks, in bytes.
    pub memory_bytes: u64,
    /// Number of threads that the process may prove with.
    pub threads: u32,
}

impl Order {
    /// Writes the order: magic, ticket, limit, memory and threads, big-endian, and four zeros.
    pub fn to_bytes(self) -> [u8; ORDER_BYTES] {
        let mut bytes = [0; ORDER_BYTES];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..16].copy_from_slice(&self.ticket.to_be_bytes());
        bytes[16..24].copy_from_slice(&self.limit_ms.to_be_bytes());
        bytes[24..32].copy_from_slice(&self.memory_bytes.to_be_bytes());
        bytes[32..36].copy_from_slice(&self.threads.to_be_bytes());
        bytes
    }

    /// Reads an order. Returns `None` for bytes that are not one.
    pub fn from_bytes(bytes: &[u8; ORDER_BYTES]) -> Option<Self> {
        let (magic, rest) = bytes.split_first_chunk::<8>()?;
        let (ticket, rest) = rest.split_first_chunk::<8>()?;
        let (limit_ms, rest) = rest.split_first_chunk::<8>()?;
        let (memory_bytes, rest) = rest.split_first_chunk::<8>()?;
        let (threads, reserved) = rest.split_first_chunk::<4>()?;
        let order = Order {
            ticket: u64::from_be_bytes(*ticket),
            limit_ms: u64::from_be_bytes(*limit_ms),
            memory_bytes: u64::from_be_bytes(*memory_bytes),
            threads: u32::from_be_bytes(*threads),
        };
        (*magic == MAGIC && reserved == [0; 4] && order.threads > 0).then_some(order)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_reads_as_it_was_written() {
        let order = Order { ticket: u64::MAX, limit_ms: 30_000, memory_bytes: 1 << 40, threads: 2 };
        assert_eq!(Order::from_bytes(&order.to_bytes()), Some(order));
        for index in [0, 7, 36, 39] {
            let mut bytes = order.to_bytes();
            bytes[index] ^= 1;
            assert_eq!(Order::from_bytes(&bytes), None, "byte {index}");
        }
    }
}
