use super::*;
use crate::circuit::Circuit as _;
#[test]
fn probe() {
    let t = std::time::Instant::now();
    let pk = Threshold.build_proving_key().unwrap();
    println!("keygen {:?} {:?}", t.elapsed(), pk.verifying_keys());
    let t = std::time::Instant::now();
    let proof = pk.prove(&Threshold.sample_witness()).unwrap();
    println!("prove {:?} {}", t.elapsed(), proof.proof.len());
    use halo2_proofs::dev::MockProver;
    let (c, i) = <Threshold as keys::Statement>::open(&Threshold.sample_witness()).unwrap();
    let t = std::time::Instant::now();
    let m = MockProver::run(7, &c, vec![i]).unwrap();
    println!("mock run {:?}", t.elapsed());
    m.assert_satisfied();
    println!("mock verify {:?}", t.elapsed());
    println!("{}", serde_json::to_string_pretty(&Threshold.descriptor().schema).unwrap());
    println!("{}", String::from_utf8(Threshold.sample_witness()).unwrap());
}
#[test]
fn cellnames() {
    use super::super::tamper;
    let (c, i) = <Threshold as keys::Statement>::open(&Threshold.sample_witness()).unwrap();
    for n in tamper::cells(7, &c, 1).keys() {
        println!("CELL {n}");
    }
    assert!(tamper::failures(7, &c, &i, &Default::default()).is_empty());
    for n in [
        "commitment/tag: tag",
        "ordering: value",
        "ordering: difference",
        "range of value: z_0",
        "range of value: z_32",
    ] {
        println!("{n} {:#?}", tamper::failures(7, &c, &i, &[(n.to_owned(), Base::from(5))].into()));
    }
    println!(
        "{:#?}",
        tamper::failures(7, &c, &[i[0] + Base::one(), i[1] + Base::one()], &Default::default())
    );
}
