package io.espalier.onnx.run;

import io.espalier.tensor.Internal;

import java.util.List;
import java.util.function.ToDoubleFunction;

/** How far apart the times of a model's turns lie. */
@Internal
public final class Scatter {
    /** Those of an idle machine differ by a few hundredths, and by a tenth in short runs. */
    private static final double MOST = 1.5;

    private Scatter() {}

    /**
     * Whether the least times can be told by: half of the turns or more took about as long. Where
     * something else keeps the machine busy, one model may have had a quiet moment, and the other
     * none.
     */
    public static boolean isSmall(List<PairedTime> turns) {
        return isSmall(turns, PairedTime::reference) && isSmall(turns, PairedTime::candidate);
    }

    private static boolean isSmall(List<PairedTime> turns, ToDoubleFunction<PairedTime> time) {
        double[] sorted = turns.stream().mapToDouble(time).sorted().toArray();
        return sorted[sorted.length / 2] <= MOST * sorted[0];
    }
}
