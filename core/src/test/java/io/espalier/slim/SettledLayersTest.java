package io.espalier.slim;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.nn.Conv2d;
import io.espalier.nn.Functional;
import io.espalier.nn.Linear;
import io.espalier.nn.Module;
import io.espalier.tensor.Libtorch;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

import java.util.List;

/** What layers are solved for is what they get in the end. */
class SettledLayersTest {
    private static final class Block extends Module {
        private final Conv2d in = add("in", new Conv2d(8, 16, 3, o -> o.padding(1)));
        private final Conv2d out = add("out", new Conv2d(16, 8, 3, o -> o.padding(1)));

        @Override
        protected Tensor forward(Tensor x) {
            return Functional.add(x, out.call(Functional.relu(in.call(x))));
        }
    }

    /** Residual blocks, of which one is called twice. */
    private static final class Residual extends Module {
        private final Conv2d stem = add("stem", new Conv2d(3, 8, 3, o -> o.padding(1)));
        private final Block first = add("first", new Block());
        private final Block twice = add("twice", new Block());
        private final Block last = add("last", new Block());
        private final Linear head = add("head", new Linear(8, 5));

        @Override
        protected Tensor forward(Tensor x) {
            Tensor stream = last.call(twice.call(twice.call(first.call(stem.call(x)))));
            return head.call(Functional.mean(stream, new long[] {2, 3}, false));
        }
    }

    /**
     * The last layer's bias makes the mean of the results what it was, on the data that it was
     * solved with.
     */
    @ParameterizedTest
    @CsvSource({"8, 4, 16, 4", "6, 16, 16, 16", "8, 16, 8, 16", "6, 8, 8, 8"})
    @DisplayName(
            "layers are solved for what they get in the end, whether the stream that they read gets"
                    + " narrower or what no layer weighs")
    void settled(int stream, int first, int twice, int last) {
        Libtorch.seed(3);
        var model = new Residual();
        model.eval();
        Tensor x = Tensors.randn(32, 3, 6, 6);
        Tensor before = mean(model.call(x));
        var slimmer = ModelSlimmer.of(model, List.of(x));
        List<Group> groups = slimmer.groups().all();
        assertEquals("stem.weight[0]", groups.getFirst().place().toString());

        SlimResult result =
                new SlimmingRun(
                                slimmer,
                                groups,
                                List.of(),
                                ChannelImportance.secondOrder(List.of(x)),
                                List.of(),
                                (stage, done, total) -> {})
                        .at(new int[] {stream, first, twice, last});

        assertEquals(
                List.of(stream, first, twice, last),
                result.rows().stream().map(SlimResult.Row::left).toList());
        double apart = mean(model.call(x)).sub(before).abs().max().item_double();
        assertTrue(apart < 1e-5, () -> "off by " + apart);
    }

    private static Tensor mean(Tensor results) {
        return results.mean(0);
    }
}
