//! What sealing and opening cost, by the scheme and by the size of the witness.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use sealprove::protocol::{Scheme, generate_key, open, seal};

fn seal_and_open(criterion: &mut Criterion) {
    for scheme in Scheme::ALL {
        let (private, public) = generate_key(scheme);
        let info = b"sealprove/1 job\nbench\n";
        let mut group = criterion.benchmark_group(scheme.as_str());
        for bytes in [1 << 10, 64 << 10, 512 << 10] {
            let witness = vec![7; bytes];
            let sealed = seal(scheme, &public, info, &witness).unwrap();
            group.throughput(Throughput::Bytes(bytes as u64));
            group.bench_function(BenchmarkId::new("seal", bytes), |bencher| {
                bencher.iter(|| seal(scheme, &public, info, &witness).unwrap());
            });
            group.bench_function(BenchmarkId::new("open", bytes), |bencher| {
                bencher.iter(|| open(scheme, &private, info, &sealed.payload).unwrap());
            });
        }
        group.finish();
    }
}

criterion_group!(benches, seal_and_open);
criterion_main!(benches);
