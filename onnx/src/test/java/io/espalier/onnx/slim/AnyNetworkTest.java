package io.espalier.onnx.slim;

import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.shape.ModelCost;
import io.espalier.slim.Cut;
import io.espalier.slim.Group;
import io.espalier.slim.Unit;

import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import java.util.stream.LongStream;

@DisplayName("A slimmer, whatever the network is,")
class AnyNetworkTest {
    @ParameterizedTest(name = "seed {0}")
    @MethodSource("seeds")
    @DisplayName("gives of any network what it gives with zeros at what was removed")
    void removesFromAnyNetwork(long seed) {
        OnnxModel model = RandomNetworks.of(seed);
        var slimmer = OnnxSlimmer.of(model);
        var random = new Random(seed);
        List<Unit> some = new ArrayList<>();
        for (Group group : slimmer.groups().all()) {
            List<Unit> units = new ArrayList<>(group.units());
            Collections.shuffle(units, random);
            some.addAll(units.subList(0, random.nextInt(Math.min(units.size(), 4))));
        }
        List<Unit> gone = slimmer.leavingSome(some);
        Cut cut = slimmer.groups().choose(gone);

        OnnxModel slim = slimmer.remove(gone);

        assertTrue(
                gone.isEmpty()
                        || ModelCost.of(slim).parameters()
                                < ModelCost.of(slimmer.model()).parameters());
        Slimmed.assertSlim(model, ZeroedModel.of(slimmer, cut), slim, 1e-4);
        OnnxModel biased = ZeroedModel.withoutProducers(slimmer, cut);
        Slimmed.assertSlim(model, biased, OnnxSlimmer.removePruned(biased), 1e-4);
        OnnxModel unread = ZeroedModel.withoutReaders(slimmer, cut);
        Slimmed.assertSlim(model, unread, OnnxSlimmer.removePruned(unread), 1e-4);
    }

    private static LongStream seeds() {
        return LongStream.rangeClosed(1, 30);
    }
}
