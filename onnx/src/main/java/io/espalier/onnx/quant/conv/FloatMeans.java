package io.espalier.onnx.quant.conv;

import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.run.OnnxSession;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;

import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** The mean of each channel of some values of a float model, over all data, batch by batch. */
final class FloatMeans {
    private FloatMeans() {}

    static Map<String, double[]> of(
            OnnxModel model, List<String> values, List<Map<String, Tensor>> data) {
        var means = new HashMap<String, ChannelMeans>();
        values.forEach(value -> means.put(value, new ChannelMeans()));
        try (var session = OnnxSession.open(model, settings -> settings.tapping(values))) {
            for (Map<String, Tensor> batch : data) {
                try (var scope = new PointerScope()) {
                    session.run(batch)
                            .forEach((name, tensor) -> {
                                ChannelMeans mean = means.get(name);
                                if (mean != null) {
                                    mean.add(tensor);
                                }
                            });
                }
            }
        }
        var results = new HashMap<String, double[]>();
        means.forEach((value, mean) -> results.put(value, mean.means()));
        return results;
    }
}
