/**
 * The switch for everything in this folder. false: bundles without a launcher and without kept bytecode, and no forced
 * garbage collection. The programs do the same; decision 0025 says what they then cost.
 */
export const tunesV8: boolean = true;
