package io.espalier.graph;

import io.espalier.tensor.Internal;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;

import java.util.Arrays;
import java.util.List;

/** How long each node of a graph takes. */
@Internal
public final class GraphTimes {
    private static final int WARM_UP = 2;

    private GraphTimes() {}

    /**
     * The least time of each node in milliseconds, in the graph's order.
     *
     * @param runs how often the graph is run, 1 or more
     */
    public static double[] of(GraphModule module, int runs, List<Tensor> example) {
        var least = new double[module.graph().nodes().size()];
        Arrays.fill(least, Double.POSITIVE_INFINITY);
        for (int run = -WARM_UP; run < runs; run++) {
            try (var scope = new PointerScope();
                    var noGrad = new NoGradGuard()) {
                var clock = new Clock(least, run >= 0);
                StepWatcher watcher = (node, operands, results) -> clock.step();
                watcher.run(module, example);
            }
        }
        return least;
    }

    /** Takes the time from one step to the next. */
    private static final class Clock {
        private final double[] least;
        private final boolean counts;
        private int at;
        private long last = System.nanoTime();

        Clock(double[] least, boolean counts) {
            this.least = least;
            this.counts = counts;
        }

        void step() {
            double millis = (System.nanoTime() - last) / 1e6;
            if (counts) {
                least[at] = Math.min(least[at], millis);
            }
            at++;
            last = System.nanoTime();
        }
    }
}
