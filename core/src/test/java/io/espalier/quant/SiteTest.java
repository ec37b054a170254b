package io.espalier.quant;

import static io.espalier.Errors.messageOf;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.RandomTensor;
import io.espalier.nn.Hardswish;
import io.espalier.nn.Linear;
import io.espalier.nn.ReLU;
import io.espalier.nn.Sequential;

import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

import java.util.ArrayList;
import java.util.List;

@DisplayName("The sites of a model")
class SiteTest {
    private static Sequential model() {
        var model =
                new Sequential(
                        new Linear(4, 6),
                        new ReLU(),
                        new Linear(6, 6),
                        new Hardswish(),
                        new Linear(6, 2));
        model.eval();
        model.qconfig(QConfig.forBackend("x86"));
        return model;
    }

    @Test
    @DisplayName("are what prepare will quantize, each with the configuration that holds for it")
    void listed() {
        Sequential model = model();
        var own = QConfig.forBackend("fbgemm");
        model.get(2).qconfig(null);
        model.get(4).qconfig(own);

        List<Site> sites = Site.toPrepare(model);

        assertEquals(List.of("0", "3", "4"), sites.stream().map(Site::path).toList());
        assertEquals(List.of(true, false, true), sites.stream().map(Site::hasWeight).toList());
        assertEquals(own, sites.getLast().qconfig());
        assertEquals(model.get(3), sites.get(1).module());
    }

    @Test
    @DisplayName("are refused where there are none, or the model is prepared already")
    void refused() {
        Sequential model = model();
        Quantization.prepare(model);
        assertTrue(messageOf(() -> Site.toPrepare(model)).startsWith("The model is prepared"));
        assertTrue(
                messageOf(() -> Site.toPrepare(new Sequential(new Linear(1, 1))))
                        .startsWith("Nothing to prepare"));
    }

    @Test
    @DisplayName("learn from calibration, which calls the model on each batch, without gradients")
    void calibrated() {
        Sequential model = model();
        List<Tensor> seen = new ArrayList<>();
        List<Boolean> gradients = new ArrayList<>();
        model.onOutput((module, outputs) -> {
            seen.addAll(outputs);
            gradients.add(outputs.getFirst().requires_grad());
            return outputs;
        });
        assertFalse(Calibration.run(model, List.of()));
        assertTrue(
                Calibration.run(
                        model, List.of(RandomTensor.of(1, 3, 4), RandomTensor.of(2, 1, 4))));
        assertEquals(List.of(false, false), gradients);
        assertTrue(seen.stream().allMatch(tensor -> tensor.isNull()));
    }
}
