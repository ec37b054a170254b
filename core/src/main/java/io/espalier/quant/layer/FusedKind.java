package io.espalier.quant.layer;

import io.espalier.nn.Module;
import io.espalier.quant.fusion.FusedReLU;
import io.espalier.quant.fusion.TrainedTogether;
import io.espalier.quant.observer.Observer;
import io.espalier.quant.qat.QatLayer;
import io.espalier.tensor.EspalierException;

import java.util.List;

/** Layers that fusing made of several, and what these become in training. */
enum FusedKind implements WeightInIntegers {
    /** A layer and its ReLU. */
    WITH_RELU(FusedReLU.class) {
        @Override
        public boolean isComposed() {
            return true;
        }

        @Override
        public Module converted(PlacedLayer place) {
            Module layer = ((FusedReLU) place.layer()).layer();
            return PackedLayer.of(place, layer, true, place.packing());
        }
    },
    /** A layer and its batch normalization, which still trains. */
    WITH_NORM(TrainedTogether.class) {
        @Override
        public Module converted(PlacedLayer place) {
            throw new EspalierException(
                    "'"
                            + place.path()
                            + "' was fused for training and has no int8 kernel; prepare the model"
                            + " by prepareQat, or fuse it by fuseModules in eval mode.");
        }
    },
    /** A layer that is trained rounded: its weight is quantized as its rounding learned to. */
    TRAINED(QatLayer.class) {
        @Override
        public boolean isTrained() {
            return false;
        }

        @Override
        public Module converted(PlacedLayer place) {
            var trained = (QatLayer) place.layer();
            var learned =
                    new Packing(
                            () -> trained.fakeQuantize().<Observer>copy(),
                            place.packing().engine());
            return PackedLayer.of(place, trained.folded(), trained.hasReLU(), learned);
        }
    };

    static final List<LayerKind> ALL = List.of(values());

    private final Class<? extends Module> type;

    FusedKind(Class<? extends Module> type) {
        this.type = type;
    }

    @Override
    public Class<?> type() {
        return type;
    }

    @Override
    public boolean isTrained() {
        return true;
    }

    @Override
    public Module trained(PlacedLayer place, Observer rounding) {
        return QatLayer.of(place.layer(), rounding);
    }
}
