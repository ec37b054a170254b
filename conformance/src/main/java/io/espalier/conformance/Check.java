package io.espalier.conformance;

import io.espalier.nn.Module;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;

import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;

/** Compares what came with what was expected, and collects the differences as sentences. */
final class Check {
    private final List<String> differences = new ArrayList<>();

    List<String> differences() {
        return differences;
    }

    void equal(String what, Object expected, Object came) {
        if (!Objects.equals(expected, came)) {
            differ(what, expected.toString(), came.toString());
        }
    }

    void close(String what, double expected, double came, Tolerance tolerance) {
        if (!tolerance.allows(expected, came)) {
            differ(what, Double.toString(expected), Double.toString(came));
        }
    }

    void close(String what, List<Double> expected, List<Double> came, Tolerance tolerance) {
        equal("number of " + what, expected.size(), came.size());
        for (int i = 0; i < Math.min(expected.size(), came.size()); i++) {
            close(what + "[" + i + "]", expected.get(i), came.get(i), tolerance);
        }
    }

    /** What a model prints, where the case says what it should. */
    void printed(String name, Values expect, Module model) {
        expect.optionalText(name).ifPresent(text -> sameText(name, text, model.toString()));
    }

    /** The same, whatever the scales are: they are compared as numbers. */
    void printedWithoutScales(String name, Values expect, Module model) {
        expect.optionalText(name)
                .ifPresent(text ->
                        sameText(
                                name,
                                Models.withoutScales(text),
                                Models.withoutScales(model.toString())));
    }

    /** Two texts of several lines; the first line that differs is shown. */
    private void sameText(String what, String expected, String came) {
        String[] wanted = expected.split("\n", -1);
        String[] got = came.split("\n", -1);
        int line = Arrays.mismatch(wanted, got);
        if (line >= 0) {
            differ(what + ", line " + (line + 1), lineOf(wanted, line), lineOf(got, line));
        }
    }

    private static String lineOf(String[] lines, int line) {
        return line < lines.length ? "\"" + lines[line].strip() + "\"" : "the end";
    }

    /** Shape, type and every element. */
    void equal(String what, Tensor expected, Tensor came) {
        equal("type of " + what, Tensors.type(expected), Tensors.type(came));
        close(what, expected, came, Tolerance.EXACT);
    }

    void equal(String what, List<Tensor> expected, List<Tensor> came) {
        equal("number of " + what, expected.size(), came.size());
        for (int i = 0; i < Math.min(expected.size(), came.size()); i++) {
            equal(what + "[" + i + "]", expected.get(i), came.get(i));
        }
    }

    /** Shape and every element within the tolerance, whatever the type. */
    void close(String what, Tensor expected, Tensor came, Tolerance tolerance) {
        long[] shape = Tensors.shape(expected);
        if (!Arrays.equals(shape, Tensors.shape(came))) {
            differ(
                    "shape of " + what,
                    Arrays.toString(shape),
                    Arrays.toString(Tensors.shape(came)));
            return;
        }
        double[] wanted = doubles(expected);
        double[] got = doubles(came);
        int first = -1;
        int far = 0;
        for (int i = 0; i < wanted.length; i++) {
            if (!tolerance.allows(wanted[i], got[i])) {
                first = first < 0 ? i : first;
                far++;
            }
        }
        if (far > tolerance.share() * wanted.length) {
            differ(
                    what + Arrays.toString(index(first, shape)),
                    Double.toString(wanted[first]),
                    got[first] + " (" + far + " of " + wanted.length + " elements differ)");
        }
    }

    /** The elements as doubles, which hold floats and the integers of the cases exactly. */
    static double[] doubles(Tensor tensor) {
        try (var scope = new PointerScope()) {
            Tensor plain = tensor.detach().to(ScalarType.Double).contiguous();
            return Tensors.segment(plain).toArray(ValueLayout.JAVA_DOUBLE);
        }
    }

    private static long[] index(int flat, long[] shape) {
        long[] index = new long[shape.length];
        long rest = flat;
        for (int d = shape.length - 1; d >= 0; d--) {
            index[d] = rest % shape[d];
            rest /= shape[d];
        }
        return index;
    }

    private void differ(String what, String expected, String came) {
        differences.add(what + ": expected " + expected + ", came " + came);
    }
}
