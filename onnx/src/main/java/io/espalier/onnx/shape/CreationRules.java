package io.espalier.onnx.shape;

import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.ElementType;

import org.jspecify.annotations.Nullable;

import java.util.List;

/** Tensors out of nothing, or out of another's extents alone. */
final class CreationRules {
    private CreationRules() {}

    static void addTo(Rules rules) {
        rules.standard(CreationRules::constant, "Constant")
                .standard(CreationRules::filled, "ConstantOfShape")
                .standard(CreationRules::range, "Range")
                .standard(CreationRules::shape, "Shape")
                .standard(CreationRules::size, "Size")
                .standard(
                        CreationRules::like, "EyeLike RandomNormalLike RandomUniformLike Bernoulli")
                .standard(CreationRules::random, "RandomNormal RandomUniform")
                .standard(CreationRules::multinomial, "Multinomial")
                .standard(CreationRules::window, "HannWindow HammingWindow BlackmanWindow");
    }

    private static void constant(Call call) {
        ConstantTensor value = Constants.of(call.node);
        if (value != null) {
            call.give(0, Scope.of(value));
            Contents known = Contents.of(value);
            if (known != null) {
                call.give(0, known);
            }
        }
    }

    private static void filled(Call call) {
        ConstantTensor value = call.node.tensor("value");
        call.give(0, value == null ? ElementType.FLOAT : value.type());
        List<Extent> shape =
                call.wholes(0).stream()
                        .map(length -> length.least() >= 0 ? length : call.unknown())
                        .toList();
        call.give(0, shape);
    }

    private static void range(Call call) {
        call.give(0, ElementwiseRules.firstType(call, 0, 1, 2));
        call.give(0, call.unknowns(1));
        Fraction start = call.contents(0).single();
        Fraction limit = call.contents(1).single();
        Fraction delta = call.contents(2).single();
        Fraction steps = limit.plus(start.negated()).dividedBy(delta);
        call.give(0, List.of(steps.ceil().max(Extent.ZERO)));
    }

    private static void shape(Call call) {
        call.give(0, ElementType.INT64);
        int rank = call.rank(0);
        int start = bound(call.node.integer("start", 0), rank);
        int end = bound(call.node.integer("end", rank), rank);
        List<Extent> part = call.shape(0).subList(start, Math.max(start, end));
        call.give(0, List.of(Extent.of(part.size())));
        call.give(0, Contents.of(part));
    }

    private static int bound(long place, int rank) {
        return Math.clamp(place < 0 ? place + rank : place, 0, rank);
    }

    private static void size(Call call) {
        call.give(0, ElementType.INT64, List.of());
        call.give(0, Contents.scalar(Fraction.of(LayoutRules.product(call.shape(0)))));
    }

    private static @Nullable ElementType dtype(Call call, @Nullable ElementType ifAbsent) {
        long code = call.node.integer("dtype", 0);
        return code == 0 ? ifAbsent : ElementType.of(Math.toIntExact(code));
    }

    private static void like(Call call) {
        call.give(0, dtype(call, call.type(0)));
        call.give(0, call.shape(0));
    }

    private static void random(Call call) {
        call.give(0, dtype(call, ElementType.FLOAT));
        call.give(0, call.node.integers("shape").stream().map(Extent::of).toList());
    }

    private static void multinomial(Call call) {
        call.give(0, dtype(call, ElementType.INT32));
        call.give(0, List.of(call.extent(0, 0), Extent.of(call.node.integer("sample_size", 1))));
    }

    private static void window(Call call) {
        call.give(0, ElementType.of(Math.toIntExact(call.node.integer("output_datatype", 1))));
        Extent length = call.contents(0).single().whole();
        call.give(0, List.of(length.least() >= 0 ? length : call.unknown()));
    }
}
