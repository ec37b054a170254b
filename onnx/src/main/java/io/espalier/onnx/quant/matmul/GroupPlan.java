package io.espalier.onnx.quant.matmul;

import io.espalier.onnx.quant.matmul.GroupTrial.Loss;
import io.espalier.quant.observer.QuantizationParameters;

import java.util.Arrays;
import java.util.List;
import java.util.Optional;

/**
 * How a group is quantized.
 *
 * @param group its products
 * @param factors what each channel is divided by first; all 1 where nothing is
 * @param range what the input maps to; empty if each batch finds its own
 * @param losses of each product that is quantized; empty if there were no data
 * @param remark what was done to the input, for the report
 */
@SuppressWarnings("ArrayRecordComponent") // never compared
record GroupPlan(
        SiteGroup group,
        float[] factors,
        Optional<QuantizationParameters> range,
        List<Loss> losses,
        String remark) {
    /** Factors that leave channels as they are. */
    static float[] ones(int channels) {
        float[] ones = new float[channels];
        Arrays.fill(ones, 1);
        return ones;
    }

    /** Quantized as it comes, each batch by its own range. */
    static GroupPlan plain(SiteGroup group) {
        return new GroupPlan(
                group, ones(group.channels()), Optional.empty(), List.of(), "no data to look at");
    }

    /** Whether channels are divided. */
    boolean isSmoothed() {
        for (float factor : factors) {
            if (factor != 1) {
                return true;
            }
        }
        return false;
    }
}
