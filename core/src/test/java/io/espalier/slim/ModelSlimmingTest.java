package io.espalier.slim;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.nn.Module;
import io.espalier.tensor.Libtorch;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Objects;
import java.util.Random;
import java.util.stream.Stream;

/** Removal from Java models against the same channels there and multiplied by zero. */
class ModelSlimmingTest {
    @ParameterizedTest
    @EnumSource(Networks.class)
    @DisplayName("a network without channels gives what it gives with those multiplied by zero")
    void exact(Networks network) {
        Libtorch.seed(3);
        Module model = network.make();
        Tensor x = network.input();
        ModelSlimmer slimmer = ModelSlimmer.of(model, List.of(x));
        List<Unit> gone = some(slimmer, new Random(5));
        assertFalse(gone.isEmpty(), () -> "nothing can go: " + slimmer.groups());
        try (var noGrad = new NoGradGuard()) {
            zeroReaders(slimmer, slimmer.groups().choose(gone));
            Tensor zeroed = model.call(x);

            slimmer.removed(slimmer.leavingSome(gone));

            Tensor slim = model.call(x);
            assertArrayEquals(Tensors.shape(zeroed), Tensors.shape(slim));
            double apart = zeroed.sub(slim).abs().max().item_double();
            assertEquals(0, apart, 1e-5, () -> network + ": " + slimmer.groups());
        }
    }

    private static List<Unit> some(ModelSlimmer slimmer, Random random) {
        List<Unit> gone = new ArrayList<>();
        for (Group group : slimmer.groups().independent(Group::isExact)) {
            List<Unit> units = new ArrayList<>(group.units());
            Collections.shuffle(units, random);
            gone.addAll(units.subList(0, units.size() / 2));
        }
        return ModelRemoval.leavingSome(slimmer.analysis(), slimmer.groups(), gone);
    }

    private static void zeroReaders(ModelSlimmer slimmer, Cut cut) {
        for (ModelEnd end : slimmer.analysis().ends()) {
            Stream.of(end.one(), end.other())
                    .filter(Objects::nonNull)
                    .map(ModelEnd.Side::place)
                    .filter(Objects::nonNull)
                    .forEach(place -> {
                        Axis axis =
                                slimmer.analysis()
                                        .constants()
                                        .getOrDefault(place.constant(), List.of())
                                        .get(place.dimension());
                        Tensor tensor =
                                slimmer.analysis().tensors().held(place.constant()).tensor();
                        for (int i = 0; i < tensor.size(place.dimension()); i++) {
                            if (!cut.isKept(axis, i)) {
                                tensor.select(place.dimension(), i).mul_(new Scalar(0));
                            }
                        }
                    });
        }
    }

    @ParameterizedTest
    @EnumSource(Networks.class)
    @DisplayName("half of the channels go of every network, and it trains on")
    void halves(Networks network) {
        Libtorch.seed(4);
        Module model = network.make();
        Tensor x = network.input();
        long[] shape = Tensors.shape(model.call(x));

        SlimResult result = Slimming.of(model, x).ratio(0.5).run();

        assertArrayEquals(shape, Tensors.shape(model.call(x)));
        assertTrue(
                result.after().parameters() < 0.8 * result.before().parameters(), result::toString);
        model.train();
        model.call(x).sum().backward();
        model.namedParameters()
                .forEach((name, tensor) ->
                        assertArrayEquals(
                                Tensors.shape(tensor), Tensors.shape(tensor.grad()), name));
    }

    @ParameterizedTest
    @EnumSource(Networks.class)
    @DisplayName("half of the channels go of every network with its weights solved anew")
    void solved(Networks network) {
        Libtorch.seed(7);
        Module model = network.make();
        Tensor x = network.input();
        Tensor before = model.call(x);

        Slimming.of(model, x).importance(ChannelImportance.secondOrder(List.of(x))).run();

        double apart = before.sub(model.call(x)).norm().item_double();
        assertTrue(apart <= before.norm().item_double(), () -> network + ": " + apart);
    }
}
