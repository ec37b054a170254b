package io.espalier.onnx.slim;

import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.ElementType;
import io.espalier.onnx.model.OnnxGraph;
import io.espalier.onnx.model.OnnxNode;

import org.jspecify.annotations.Nullable;

import java.lang.foreign.MemorySegment;
import java.math.BigInteger;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Objects;

/**
 * A list of integers that a node reads, such as the extents that a reshape gives: a constant, or
 * constants and computed numbers joined.
 */
record ExtentList(Analysis analysis, String value) {
    /** The element, with a prime for each free size; null if it is not known. */
    @Nullable Long element(int place) {
        long[] known = analysis.integers(value);
        return known == null || place >= known.length ? null : Long.valueOf(known[place]);
    }

    /** How many elements it has; 0 if that is not known. */
    int length() {
        long[] extents = analysis.extents(value);
        return extents == null || extents.length != 1 ? 0 : (int) extents[0];
    }

    /** An element that becomes another: a number, or where it is computed as many times less. */
    record Change(long before, long after) {}

    /** The name of a list in which elements at some places change. */
    String with(OnnxGraph changed, Map<Integer, Change> changes) {
        List<String> parts = parts();
        if (!changes.keySet().stream().allMatch(this::isConstant)) {
            return scaled(changed, changes);
        }
        List<String> others = new ArrayList<>();
        int first = 0;
        for (String part : parts) {
            ConstantTensor constant = changed.constant(part);
            ConstantTensor other = constant == null ? null : replaced(constant, changes, first);
            others.add(
                    other == null || other == constant ? part : changed.addConstant(part, other));
            first += length(part);
        }
        OnnxNode join = analysis.graph().producer(value);
        if (join == null) {
            return others.getFirst();
        }
        String name = changed.freshName(value);
        changed.add(join.withInputs(others).withOutputs(List.of(name)).withName(name));
        return name;
    }

    private boolean isConstant(int place) {
        int at = place;
        for (String part : parts()) {
            int length = length(part);
            if (at < length) {
                return constant(part) != null;
            }
            at -= length;
        }
        return false;
    }

    /** Numbers that are computed are those of the model as it was. */
    private String scaled(OnnxGraph changed, Map<Integer, Change> changes) {
        long[] factors = new long[length()];
        Arrays.fill(factors, 1);
        long[] divisors = factors.clone();
        changes.forEach((place, change) -> {
            long common =
                    BigInteger.valueOf(change.before())
                            .gcd(BigInteger.valueOf(change.after()))
                            .longValue();
            factors[place] = change.after() / common;
            divisors[place] = change.before() / common;
        });
        List<Long> shape = List.of((long) factors.length);
        String times = changed.addConstant(value, ConstantTensor.longs(shape, factors));
        String by = changed.addConstant(value, ConstantTensor.longs(shape, divisors));
        String product = changed.freshName(value + "_times");
        changed.add(OnnxNode.of("Mul", List.of(value, times), product));
        String name = changed.freshName(value + "_left");
        changed.add(OnnxNode.of("Div", List.of(product, by), name));
        return name;
    }

    private static ConstantTensor replaced(
            ConstantTensor constant, Map<Integer, Change> changes, int first) {
        long[] values = constant.toLongs();
        long[] others = values.clone();
        for (int i = 0; i < values.length; i++) {
            Change change = changes.get(first + i);
            others[i] = change == null ? values[i] : change.after();
        }
        return Arrays.equals(values, others) ? constant : like(constant, others);
    }

    /** Integers of the type of a constant's, as a list if it is one. */
    static ConstantTensor like(ConstantTensor constant, long... values) {
        List<Long> shape = constant.shape().isEmpty() ? List.of() : List.of((long) values.length);
        if (constant.type() == ElementType.INT64) {
            return ConstantTensor.longs(shape, values);
        }
        var bytes = ByteBuffer.allocate(4 * values.length).order(ByteOrder.LITTLE_ENDIAN);
        for (long value : values) {
            bytes.putInt(Math.toIntExact(value));
        }
        return ConstantTensor.of(constant.type(), shape, MemorySegment.ofArray(bytes.array()));
    }

    private long @Nullable [] constant(String name) {
        ConstantTensor constant = analysis.graph().constant(name);
        return constant == null ? null : constant.toLongs();
    }

    private int length(String part) {
        return (int) Objects.requireNonNull(analysis.extents(part))[0];
    }

    /** Lists that are joined; empty if it is nothing of the kind. */
    private List<String> parts() {
        if (isList(value) && analysis.graph().constant(value) != null) {
            return List.of(value);
        }
        OnnxNode maker = analysis.graph().producer(value);
        return maker != null && maker.is("Concat") && maker.inputs().stream().allMatch(this::isList)
                ? maker.inputs()
                : List.of();
    }

    private boolean isList(String part) {
        ConstantTensor constant = analysis.graph().constant(part);
        boolean whole =
                constant == null
                        || constant.type() == ElementType.INT64
                        || constant.type() == ElementType.INT32;
        long[] extents = analysis.extents(part);
        return whole && extents != null && extents.length == 1;
    }
}
