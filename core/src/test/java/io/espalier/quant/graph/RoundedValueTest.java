package io.espalier.quant.graph;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.graph.GraphModule;
import io.espalier.graph.GraphOperator;
import io.espalier.graph.Value;
import io.espalier.nn.Conv2d;
import io.espalier.nn.Functional;
import io.espalier.nn.Hardswish;
import io.espalier.nn.MaxPool2d;
import io.espalier.nn.Module;
import io.espalier.nn.Sequential;
import io.espalier.quant.GraphQuantization;
import io.espalier.quant.QConfig;
import io.espalier.tensor.Libtorch;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;

class RoundedValueTest {
    @BeforeEach
    void seed() {
        Libtorch.seed(5);
    }

    /** Two convolutions of one value, whose sum a third is given. */
    private static final class Branches extends Module {
        private final Conv2d stem = add("stem", new Conv2d(3, 4, 1));
        private final Conv2d left = add("left", new Conv2d(4, 4, 1));
        private final Conv2d right = add("right", new Conv2d(4, 4, 1));
        private final Conv2d last = add("last", new Conv2d(4, 2, 1));

        @Override
        protected Tensor forward(Tensor input) {
            Tensor x = Functional.relu(stem.call(input));
            return last.call(Functional.hardswish(Functional.add(left.call(x), right.call(x))));
        }
    }

    private static GraphModule explicit(Module model) {
        var x = Tensors.randn(2, 3, 8, 8);
        model.eval();
        GraphModule traced = GraphModule.trace(model, x);
        traced.qconfig(QConfig.forBackend("onednn"));
        GraphModule prepared = GraphQuantization.prepare(traced);
        prepared.call(x);
        return GraphQuantization.convertToReference(prepared);
    }

    private static boolean rounds(GraphModule explicit, Value value, Set<String> inFloat) {
        return GraphQuantization.inFloat(explicit, inFloat::contains).graph().nodes().stream()
                .anyMatch(node ->
                        node.calls(GraphOperator.QUANTIZE)
                                && node.inputs().getFirst().equals(value));
    }

    @Test
    @DisplayName("is rounded until the last of its layers is in floats")
    void layers() {
        GraphModule explicit = explicit(new Branches());
        List<RoundedValue> values = RoundedValue.of(explicit);

        assertTrue(values.stream().anyMatch(value -> value.layers().size() > 1));
        for (RoundedValue value : values) {
            assertFalse(rounds(explicit, value.value(), value.layers()), value::toString);
            for (String layer : value.layers()) {
                Set<String> others = new HashSet<>(value.layers());
                others.remove(layer);
                assertTrue(rounds(explicit, value.value(), others), value::toString);
            }
        }
    }

    @Test
    @DisplayName("is not what only takes the largest of rounded values, which loses nothing more")
    void passing() {
        GraphModule explicit =
                explicit(
                        new Sequential(
                                new Conv2d(3, 4, 3),
                                new Hardswish(),
                                new MaxPool2d(2),
                                new Conv2d(4, 2, 3)));

        assertEquals(
                Set.of("x by [0]", "0 by [3]"),
                RoundedValue.of(explicit).stream()
                        .map(value -> value.value() + " by " + value.layers())
                        .collect(Collectors.toSet()));
    }
}
