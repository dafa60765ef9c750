use super::*;
use crate::circuit::Circuit as _;
#[test]
fn probe() {
    let t = std::time::Instant::now();
    let pk = Membership.build_proving_key().unwrap();
    println!("keygen {:?} {:?}", t.elapsed(), pk.verifying_keys());
    let t = std::time::Instant::now();
    let proof = pk.prove(&Membership.sample_witness()).unwrap();
    println!("prove {:?} {}", t.elapsed(), proof.proof.len());
    use halo2_proofs::dev::MockProver;
    let (c, i) = <Membership as keys::Statement>::open(&Membership.sample_witness()).unwrap();
    let t = std::time::Instant::now();
    let m = MockProver::run(11, &c, vec![i]).unwrap();
    println!("mock run {:?}", t.elapsed());
    m.assert_satisfied();
    println!("mock verify {:?}", t.elapsed());
    println!("{}", serde_json::to_string_pretty(&Membership.descriptor().schema).unwrap());
    println!("{}", String::from_utf8(Membership.sample_witness()).unwrap());
}
