package io.espalier.onnx.tune;

import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.quant.half.OpenedHalves;
import io.espalier.onnx.shape.Shapes;

import java.util.Optional;

/** A file whose weights are trained on libtorch, in floats. */
sealed interface TrainableFile permits TrainableFile.Floats, IntegerFile {
    /** What libtorch runs: all of it in 32 bits. */
    OnnxModel lowerable();

    /** Where the file holds what a value of the lowerable model is, if it does. */
    Optional<HeldWeight> held(String value);

    /** Says which of the parameters train, and what they pass through. */
    void prepare(TrainableWeights weights);

    /** The file with the weights as they are now. */
    OnnxModel with(TrainableWeights weights);

    /**
     * A file that computes in floats.
     *
     * @param model as it is written: weights in 16 bits are trained in 32, and rounded again
     * @param shapes of its values
     */
    record Floats(OnnxModel model, Shapes shapes, OnnxModel lowerable) implements TrainableFile {
        static Floats of(OnnxModel model) {
            return new Floats(model, Shapes.of(model), OpenedHalves.open(model));
        }

        @Override
        public Optional<HeldWeight> held(String value) {
            return HeldWeight.of(model.graph(), shapes, value);
        }

        @Override
        public void prepare(TrainableWeights weights) {
            weights.keepAlike();
            weights.inUnits();
            weights.keepZeros();
        }

        @Override
        public OnnxModel with(TrainableWeights weights) {
            return weights.writtenTo(model);
        }
    }
}
