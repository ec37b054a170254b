package io.espalier.quant.observer;

import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * The range that loses least when values are rounded and clamped to it: the sum of squared errors,
 * each bin taken as uniformly filled. The ends move inwards, always the one that leaves fewer
 * values behind, until the error grows.
 *
 * <p>It is PyTorch's {@code HistogramObserver._non_linear_param_search} (from Caffe2's
 * norm_minimization.cc), in floats and in the same order, so that its decisions are the same.
 */
final class NormSearch {
    /** How much of the data an end may leave behind in one step (PyTorch's). */
    private static final double STEP = 1e-5;

    private final float[] counts;
    private final double binWidth;
    private final double targetBins;

    private NormSearch(Histogram histogram, QuantizedType dtype) {
        this.counts = histogram.counts();
        this.binWidth = ((double) histogram.max() - histogram.min()) / counts.length;
        this.targetBins = (double) dtype.max() - dtype.min() + 1;
    }

    static Interval search(Histogram histogram, QuantizedType dtype) {
        try (var scope = new PointerScope()) {
            return new NormSearch(histogram, dtype).search(histogram);
        }
    }

    private Interval search(Histogram histogram) {
        Tensor all = Tensors.of(counts);
        double total = all.sum().item_float();
        float[] cumulative = Tensors.floats(all.cumsum(0));
        Tensor errors = Tensors.zeros(counts.length);
        double alpha = 0;
        double beta = 1;
        int first = 0;
        int last = counts.length - 1;
        float least = Float.POSITIVE_INFINITY;
        while (alpha < beta) {
            double nextAlpha = alpha + STEP;
            double nextBeta = beta - STEP;
            int l = first;
            while (l < last && cumulative[l] < (float) (nextAlpha * total)) {
                l++;
            }
            int r = last;
            while (r > first && cumulative[r] > (float) (nextBeta * total)) {
                r--;
            }
            int nextFirst = first;
            int nextLast = last;
            if (l - first > last - r) {
                nextFirst = l;
                alpha = nextAlpha;
            } else {
                nextLast = r;
                beta = nextBeta;
            }
            if (nextFirst == first && nextLast == last) {
                continue;
            }
            float error = error(nextFirst, nextLast, errors);
            if (error > least) {
                break;
            }
            least = error;
            first = nextFirst;
            last = nextLast;
        }
        float width = (histogram.max() - histogram.min()) / counts.length;
        return new Interval(histogram.min() + width * first, histogram.min() + width * (last + 1));
    }

    /** The error when the range is bins {@code first … last}. */
    private float error(int first, int last, Tensor errors) {
        double targetWidth = binWidth * (last - first + 1) / targetBins;
        if (targetWidth == 0) {
            return 0;
        }
        float[] values = new float[counts.length];
        errors(first, targetWidth, values);
        MemorySegment.copy(
                values, 0, Tensors.segment(errors), ValueLayout.JAVA_FLOAT, 0, values.length);
        try (var scope = new PointerScope()) {
            return errors.sum().item_float();
        }
    }

    private void errors(int first, double targetWidth, float[] errors) {
        float width = (float) binWidth;
        float target = (float) targetWidth;
        float half = (float) (targetWidth / 2);
        double lastTarget = targetBins - 1;
        float whole = (half * half * half - (-half * -half * -half)) / 3;
        for (int b = 0; b < errors.length; b++) {
            float begin = (b - first) * width;
            float end = begin + width;
            float targetOfBegin =
                    (float) Math.min(Math.max(Math.floor((double) begin / target), 0), lastTarget);
            float targetOfEnd =
                    (float) Math.min(Math.max(Math.floor((double) end / target), 0), lastTarget);
            float density = counts[b] / width;
            float fromCentre = begin - (targetOfBegin + 0.5f) * target;
            float toCentre = end - (targetOfEnd * target + half);
            float error =
                    density * ((half * half * half - fromCentre * fromCentre * fromCentre) / 3);
            error += (targetOfEnd - targetOfBegin - 1) * (density * whole);
            error += density * ((toCentre * toCentre * toCentre - (-half * -half * -half)) / 3);
            errors[b] = error;
        }
    }
}
