package io.espalier.demo;

/**
 * How much work goes into the demonstration.
 *
 * @param seed of the initial weights and the order of the digits
 * @param epochs of training before pruning
 * @param rounds of pruning, each followed by an epoch of fine-tuning
 * @param fineTuning how many of the training digits an epoch of fine-tuning takes
 * @param sparsity the share of the weights that is zero after the last round
 * @param calibration how many training digits the observers see
 * @param roundedEpochs of training for int8
 * @param roundedTraining how many of the training digits such an epoch takes
 * @param width the share of the channels and neurons that slimming leaves
 * @param timings how often each model is timed
 */
public record Settings(
        long seed,
        int epochs,
        int rounds,
        int fineTuning,
        double sparsity,
        int calibration,
        int roundedEpochs,
        int roundedTraining,
        double width,
        int timings) {
    /** One to two minutes on two cores. */
    public static Settings quick(long seed) {
        return new Settings(seed, 2, 3, 20_000, 0.90, 1_000, 1, 60_000, 0.4, 50);
    }

    /** Several minutes, and a better network. */
    public static Settings full(long seed) {
        return new Settings(seed, 6, 5, 60_000, 0.95, 2_000, 2, 60_000, 0.4, 200);
    }
}
