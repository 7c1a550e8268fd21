"""Speech restoration in a latent space (LAFUFU, ICASSP 2026): 48 kHz, one autoencoder, a Schrodinger bridge and the SDE it is measured against."""
