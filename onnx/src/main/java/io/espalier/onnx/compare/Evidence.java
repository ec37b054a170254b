package io.espalier.onnx.compare;

import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Whether a model's results on some data say anything about another's. Real numbers don't that are
 * one and the same everywhere, 0 above all, or of which none is finite: by them all models are
 * right.
 */
public final class Evidence {
    private final Map<String, Values> results = new LinkedHashMap<>();

    /** Begins without any. */
    public Evidence() {}

    /** What was seen of a result. */
    private static final class Values {
        private long numbers;
        private boolean integers;
        private float least = Float.POSITIVE_INFINITY;
        private float most = Float.NEGATIVE_INFINITY;

        private void add(float value) {
            numbers++;
            if (Float.isFinite(value)) {
                least = Math.min(least, value);
                most = Math.max(most, value);
            }
        }

        private boolean say() {
            boolean isOne = numbers == 1 && least == most && least != 0;
            return integers || least < most || isOne;
        }

        private boolean holdSome() {
            return integers || numbers == 0 || least <= most;
        }

        private String words() {
            if (numbers == 0) {
                return "holds no numbers";
            }
            return least > most ? "is nowhere finite" : "is " + number() + " everywhere";
        }

        private String number() {
            return least == Math.rint(least) && Math.abs(least) < 1e6
                    ? Long.toString((long) least)
                    : Float.toString(least);
        }
    }

    /** Adds a result on some of the data: real numbers, or integers, each right or wrong. */
    public void add(String result, Tensor values) {
        if (values.is_floating_point()) {
            add(result, Tensors.floats(values.to(ScalarType.Float).contiguous()));
        } else {
            addIntegers(result, values.numel());
        }
    }

    /** Adds a result's real numbers on some of the data. */
    public void add(String result, float[] numbers) {
        Values values = results.computeIfAbsent(result, name -> new Values());
        for (float number : numbers) {
            values.add(number);
        }
    }

    /** Adds a result that is integers. */
    public void addIntegers(String result, long numbers) {
        results.computeIfAbsent(result, name -> new Values()).integers |= numbers > 0;
    }

    /** Whether there is something to judge by. */
    public boolean says() {
        return results.isEmpty() || results.values().stream().anyMatch(Values::say);
    }

    /** Whether all results are real numbers of which none is finite. */
    public boolean isNowhereFinite() {
        return !results.isEmpty() && results.values().stream().noneMatch(Values::holdSome);
    }

    /**
     * Says that there must be something to judge by.
     *
     * @throws EspalierException if no result says anything, with what each is
     */
    public void require() {
        if (says()) {
            return;
        }
        List<String> words = new ArrayList<>();
        results.forEach((name, values) -> words.add("'" + name + "' " + values.words()));
        throw new EspalierException(
                "No model can be judged by what the float one gives of these data: %s; give data of which its results differ."
                        .formatted(String.join(", ", words)));
    }
}
