package io.espalier.train;

import io.espalier.nn.Module;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;

import java.util.Arrays;
import java.util.List;

/**
 * Times models against each other: warm and in turns, so that a busy moment of the machine hits all
 * of them alike. The medians count.
 */
public final class Latency {
    private static final int WARM_UP = 5;

    private Latency() {}

    /**
     * The time that each model takes for one batch, in milliseconds.
     *
     * @param rounds how often each is timed, 1 or more
     * @param batch what each is called with, so many tensors as it takes
     */
    public static double[] medians(List<? extends Module> models, int rounds, Tensor... batch) {
        Settings.requirePositive("The number of rounds to time", rounds);
        List<Tensor> inputs = List.of(batch);
        try (var guard = new NoGradGuard()) {
            double[][] millis = new double[models.size()][rounds];
            for (int round = -WARM_UP; round < rounds; round++) {
                for (int m = 0; m < models.size(); m++) {
                    double time = time(models.get(m), inputs);
                    if (round >= 0) {
                        millis[m][round] = time;
                    }
                }
            }
            return Arrays.stream(millis).mapToDouble(Latency::median).toArray();
        }
    }

    private static double time(Module model, List<Tensor> inputs) {
        try (var scope = new PointerScope()) {
            long start = System.nanoTime();
            model.callAll(inputs);
            return (System.nanoTime() - start) / 1e6;
        }
    }

    private static double median(double[] values) {
        double[] sorted = values.clone();
        Arrays.sort(sorted);
        int middle = sorted.length / 2;
        return sorted.length % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
    }
}
