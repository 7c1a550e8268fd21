"""The link simulation: one scenario at one SNR through every combining scheme, with the throughput that its soft bits support."""

SCHEMES = ("iqc", "deqc", "llrc", "deqc_local", "deqc_combined", "single_trp")
"""iqc: joint MMSE of all antennas. deqc: each radio forwards its best subspace, joint MMSE of the streams ("partial beamforming"). llrc: soft bits added.
The two weaker ways to choose the streams: deqc_local: the outputs of the radio's best layers by local MMSE, joint MMSE of those; deqc_combined: the same outputs,
weighted by their SINR and added. single_trp: for every layer the one radio that hears it best, alone."""
COLUMNS = ("scheme", "snr_db", "throughput_bps", "throughput_low_bps", "throughput_high_bps", "spectral_efficiency", "fronthaul_bps", "flops_per_slot",
           "evm_predicted_db", "evm_measured_db", "drops", "seed",
           "code_rate", "block_error_rate", "gmi", "trp_flops_per_slot", "centre_flops_per_slot", "recomputed")
"""Keys of every row of `simulate_point`, one row per scheme; the first twelve are those of sweep.csv.

throughput_bps        mean over drops of all layers together, at the best of the code rates; low and high: 90 % band of that mean over drops
spectral_efficiency   throughput over occupied bandwidth, bit/s/Hz
fronthaul_bps         payload from all radios to the centre
flops_per_slot        PUSCH, radios and centre together; trp_flops_per_slot and centre_flops_per_slot are its two parts
evm_*_db              mean error variance of the combined symbols relative to their power, as the receiver predicts it and as it was; nan where a scheme has no symbols (llrc)
code_rate             the code rate chosen, one for all layers and drops (an MCS per scheme); 0 where none is decoded
block_error_rate      share of the layers' blocks that this code rate does not carry
gmi                   mean generalised mutual information per coded bit, 0 to 1
recomputed            share of weights that were recomputed in double precision
"""
